using Agent.Artifacts;
using Agent.Daemon.Configuration;
using FsCheck;
using FsCheck.Fluent;

namespace Agent.Tests.Configuration;

public class CommandLineSplitTests
{
    [Theory]
    [InlineData("bin/check", "bin/check")]
    [InlineData("  bin/check \t --port  8080 ", "bin/check|--port|8080")]
    [InlineData("""/usr/bin/test "a b" 'c "d"' e' f 'g""", """/usr/bin/test|a b|c "d"|e f g""")]
    [InlineData("""a "" ''""", "a||")]
    [InlineData("""a \" \' \\ \; "\"" '\''""", """a|"|'|\|;|"|'""")]
    [InlineData(@"a \x41\102\u00e4\U0001F600 x\sy \t", "a|ABä😀|x y|\t")]
    [InlineData(@"a \xc3\xa4", "a|ä")]
    [InlineData("a ä😀;b", "a|ä😀;b")]
    [InlineData("a $HOME ${PORT} 100% %n", "a|$HOME|${PORT}|100%|%n")]
    public void Splits_as_systemd_does_and_expands_nothing(string line, string words) => Assert.Equal(words.Split('|'), CommandLine.Split(line));

    [Theory]
    [InlineData("")]
    [InlineData(" \t")]
    [InlineData("a \"open")]
    [InlineData("a it's")]
    [InlineData(@"a \q")]
    [InlineData(@"a \x00")]
    [InlineData(@"a \xc3")]
    [InlineData(@"a \ud800")]
    [InlineData(@"a \U00110000")]
    [InlineData("a ; b")]
    public void Refuses(string line) => Assert.Equal(ExitCode.Usage, Assert.Throws<OperatorException>(() => CommandLine.Split(line)).Code);

    [Fact]
    public void Any_words_that_are_quoted_come_back() => Prop.ForAll<NonNull<string>[]>(texts =>
    {
        string[] words = ["bin/check", .. texts.Select(text => text.Get.Replace('\0', ' ')).Where(text => !text.Any(char.IsSurrogate))];
        string line = string.Join(' ', words.Select(word => '"' + word.Replace("\\", @"\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal) + '"'));
        return CommandLine.Split(line).SequenceEqual(words);
    }).Check(Config.QuickThrowOnFailure.WithMaxTest(300));

    [Fact]
    public void Any_text_is_split_or_refused() => Prop.ForAll<NonNull<string>>(text =>
    {
        try
        {
            return CommandLine.Split(text.Get).Count > 0;
        }
        catch (OperatorException)
        {
            return true;
        }
    }).Check(Config.QuickThrowOnFailure.WithMaxTest(1000));
}
