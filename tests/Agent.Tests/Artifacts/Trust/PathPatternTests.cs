using Agent.Artifacts.Trust;

namespace Agent.Tests.Artifacts.Trust;

public class PathPatternTests
{
    [Theory]
    [InlineData("shop/releases/*", "shop/releases/v1.0.0.json", true)]
    [InlineData("shop/releases/*", "shop/releases/a/b", false)]
    [InlineData("shop/releases/*", "shop/releases", false)]
    [InlineData("shop/releases/*", "shop2/releases/x", false)]
    [InlineData("*", "a", true)]
    [InlineData("*", "", true)]
    [InlineData("*", "a/b", false)]
    [InlineData("foo-?.tgz", "foo-1.tgz", true)]
    [InlineData("foo-?.tgz", "foo-10.tgz", false)]
    [InlineData("foo-?.tgz", "foo-.tgz", false)]
    [InlineData("a?b", "a/b", false)]
    [InlineData("*.zip", "x.ZIP", false)]
    [InlineData("*a*b*", "xxaxxbxx", true)]
    [InlineData("*a*b", "ab/ab", false)]
    [InlineData("[ab]", "a", false)]
    public void Matches(string pattern, string path, bool matches) => Assert.Equal(matches, new PathPattern(pattern).Matches(path));

    [Fact]
    public void A_pattern_made_to_be_slow_is_not() =>
        Assert.False(new PathPattern(string.Concat(Enumerable.Repeat("*a", 2_000))).Matches(new string('a', 1_999) + "b"));

    [Theory]
    [InlineData("shop/releases/*", "", true)]
    [InlineData("shop/releases/*", "shop/", true)]
    [InlineData("shop/releases/*", "shop/releases/", true)]
    [InlineData("shop/releases/*", "shop/channels/", false)]
    [InlineData("shop/releases/*", "shop/releases/deeper/", false)]
    [InlineData("*/releases/*", "shop/releases/", true)]
    public void May_match_below_a_directory(string pattern, string directory, bool may) => Assert.Equal(may, new PathPattern(pattern).MayMatchBelow(directory));
}
