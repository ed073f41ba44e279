using Agent.Artifacts;
using Agent.Daemon.Configuration;
using FsCheck;
using FsCheck.Fluent;

namespace Agent.Tests.Configuration;

public class TemplateTests
{
    private static readonly Dictionary<string, string> Values = new() { ["A"] = "1", ["B_2"] = "${A} $${", ["EMPTY"] = "" };

    [Theory]
    [InlineData("", "")]
    [InlineData("a=${A}\nb=${A}${A}\n", "a=1\nb=11\n")]
    [InlineData("[${EMPTY}]", "[]")]
    [InlineData("${B_2}", "${A} $${")]
    [InlineData("$${A}", "${A}")]
    [InlineData("$$${A}", "$${A}")]
    [InlineData("$A $ $$ {A} } 100% \\${A}", "$A $ $$ {A} } 100% \\1")]
    public void Fills(string text, string filled) => Assert.Equal(filled, Template.Fill(text, Values, "app.conf.template"));

    [Fact]
    public void Tells_all_names_without_a_value_with_their_lines()
    {
        var error = Assert.Throws<OperatorException>(() => Template.Fill("${A} ${X}\n\n${Y}${\n$${Z} ${A-}", Values, "app.conf.template"));
        Assert.Equal(ExitCode.Refused, error.Code);
        Assert.Equal(
            [
                "app.conf.template:1: ${X} has no value; set X in environment or secrets of the app, or write $${X} to keep it as it stands",
                "app.conf.template:3: ${Y} has no value; set Y in environment or secrets of the app, or write $${Y} to keep it as it stands",
                "app.conf.template:3: '${' begins no name; write ${NAME}, or $${ for a literal ${",
                "app.conf.template:4: '${' begins no name; write ${NAME}, or $${ for a literal ${",
            ],
            error.Message.Split('\n'));
    }

    [Fact]
    public void Any_text_is_filled_or_refused() => Prop.ForAll(Texts().ToArbitrary(), text =>
    {
        try
        {
            string filled = Template.Fill(text, Values, "file");
            return text.Contains("${", StringComparison.Ordinal) || filled == text;
        }
        catch (OperatorException e)
        {
            return e.Message.StartsWith("file:", StringComparison.Ordinal);
        }
    }).QuickCheckThrowOnFailure();

    private static Gen<string> Texts() => Gen.OneOf(
        ArbMap.Default.GeneratorFor<NonNull<string>>().Select(any => any.Get),
        Gen.Elements("$", "{", "}", "A", "B_2", "${A}", "\n", "x", "\0", "\uD800").ListOf().Select(string.Concat));
}
