using System.Text;
using Agent.Daemon.Systemd;

namespace Agent.Tests.Systemd;

public class JournalReaderTests
{
    [Theory]
    [InlineData("plain", "plain")]
    [InlineData("two\nlines\tand a tab", "two lines and a tab")]
    [InlineData("\u001b[31mred\u001b[0m\a\0\r\u007f\u009b", "[31mred[0m")]
    [InlineData("grüße 🚀", "grüße 🚀")]
    [InlineData("", "")]
    public void Shows_nothing_that_steers_a_terminal(string message, string shown) =>
        Assert.Equal(shown, JournalReader.Clean(Encoding.UTF8.GetBytes(message)));

    [Fact]
    public void Takes_bytes_that_are_no_text() => Assert.Equal("a\uFFFDb", JournalReader.Clean([(byte)'a', 0xFF, (byte)'b']));

    [Theory]
    [InlineData("x", 1000)]
    [InlineData("é", 1000)]
    [InlineData("🚀", 1000)]
    [InlineData("ab🚀", 1000)]
    [InlineData("a🚀🚀🚀", 999)]      // the pair would be cut in two
    public void Keeps_a_thousand_characters_and_no_half_ones(string pattern, int length)
    {
        string clean = JournalReader.Clean(Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat(pattern, 5000))));
        Assert.Equal(length, clean.Length);
        Assert.False(char.IsHighSurrogate(clean[^1]));
    }
}
