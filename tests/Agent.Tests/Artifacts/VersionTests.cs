using Agent.Artifacts;

namespace Agent.Tests.Artifacts;

public class VersionTests
{
    [Theory]
    [InlineData("^1.2.0", "v1.9.3", true)]
    [InlineData("^1.2.0", "v2.0.0", false)]
    [InlineData("^1.2.0", "v2.0.0-rc.1", false)]
    [InlineData("^0.2.0", "v0.3.0", false)]
    [InlineData("~1.2.0", "1.2.9", true)]
    [InlineData("~1.2.0", "1.3.0", false)]
    [InlineData(">=1.0.0 <2.0.0", "v1.5.0", true)]
    [InlineData(">=1.0.0 <2.0.0", "v1.5.0-rc.1", false)]
    [InlineData(">=2.0.0-0", "v2.0.0-rc.1", true)]
    [InlineData("*", "v9.9.9", true)]
    [InlineData("*", "v9.9.9-rc.1", false)]
    [InlineData("1.2.3", "v1.2.3", true)]
    public void Range_contains(string range, string version, bool contained) =>
        Assert.Equal(contained, new VersionRange(range).Contains(new ReleaseVersion(version)));

    [Theory]
    [InlineData("v1")]
    [InlineData("1.2")]
    [InlineData("../1.2.3")]
    [InlineData("1.2.3/x")]
    [InlineData("1.2.3\n")]
    [InlineData("vv1.2.3")]
    [InlineData("")]
    public void Refuses_what_is_no_version(string text) =>
        Assert.Equal(ExitCode.Usage, Assert.Throws<OperatorException>(() => new ReleaseVersion(text)).Code);

    [Theory]
    [InlineData("../etc")]
    [InlineData("Shop")]
    [InlineData("shop-")]
    [InlineData("9lives")]
    [InlineData("a/b")]
    public void Refuses_what_is_no_app_name(string text) => Assert.Throws<OperatorException>(() => new AppName(text));
}
