using Agent.Daemon.Deployments;

namespace Agent.Tests.Deployments;

/// <summary>Secrets in what people get to see.</summary>
public class RedactorTests
{
    [Theory]
    [InlineData("key=abcd", "key=[secret]")]
    [InlineData("key=abcd-efgh", "key=[secret]")]         // whole, not the shorter one in it
    [InlineData("-----\nline two\n-----", "-----\n[secret]\n-----")]   // one with several lines, line by line
    [InlineData("an xyz", "an xyz")]                      // too short to be hidden
    [InlineData("ABCD", "ABCD")]
    public void Are_taken_out(string text, string clean) => Assert.Equal(clean, new Redactor(["abcd", "abcd-efgh", "xyz", "one\nline two", ""]).Clean(text));
}
