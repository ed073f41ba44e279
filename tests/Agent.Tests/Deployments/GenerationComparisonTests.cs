using Agent.Artifacts;
using Agent.Artifacts.Manifests;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.State;
using Agent.Tests.Fakes;
using static Agent.Tests.Deployments.EngineRoom;

namespace Agent.Tests.Deployments;

/// <summary>What differs between what ran at two times, and what may be shown of it.</summary>
public class GenerationComparisonTests
{
    private readonly EngineRoom room = new();

    [Fact]
    public void Files_are_told_by_what_they_are()
    {
        Generate("shop-1", "v1.0.0", [Empty("a"), Empty("b"), new ManifestLink("c", "a"), new ManifestDirectory("d")]);
        Generate("shop-2", "v2.0.0", [Empty("a"), Empty("b") with { Executable = true }, new ManifestLink("c", "b"), Empty("e")]);
        GenerationDifference found = room.Comparison.Compare(World.Shop, "shop-1", "shop-2");
        Assert.Equal(("v1.0.0 (shop-1)", "v2.0.0 (shop-2)"), (found.A, found.B));
        Assert.Equal(
            [
                new Difference(DifferenceKind.Changed, "b", "e3b0c44298fc, 0 bytes", "e3b0c44298fc, 0 bytes, executable"),
                new Difference(DifferenceKind.Changed, "c", "-> a", "-> b"),
                new Difference(DifferenceKind.Removed, "d", "directory", null),
                new Difference(DifferenceKind.Added, "e", null, "e3b0c44298fc, 0 bytes"),
            ],
            found.Files);
        Assert.Empty(found.Environment);
        Assert.Empty(found.Units);
    }

    [Theory]
    [InlineData("PORT", true)]
    [InlineData("DATABASE_URL", false)]
    [InlineData("URL", false)]
    [InlineData("URLS", true)]
    [InlineData("smtp_password", false)]
    [InlineData("API_KEY", false)]
    [InlineData("AUTH", false)]
    [InlineData("SENTRY_DSN", false)]
    public void The_value_of_what_may_be_a_secret_is_never_shown(string name, bool shown)
    {
        Generate("shop-1", "v1.0.0", [], definition => definition with { Environment = new Dictionary<string, string> { [name] = "one" } });
        Generate("shop-2", "v2.0.0", [], definition => definition with { Environment = new Dictionary<string, string> { [name] = "two" } });
        Generate("shop-3", "v3.0.0", [], definition => definition with { Environment = new Dictionary<string, string>() });
        GenerationDifference changed = room.Comparison.Compare(World.Shop, "shop-1", "shop-2"), gone = room.Comparison.Compare(World.Shop, "shop-1", "shop-3");
        Assert.Equal(new Difference(DifferenceKind.Changed, name, shown ? "one" : null, shown ? "two" : null), Assert.Single(changed.Environment));
        Assert.Equal(new Difference(DifferenceKind.Removed, name, shown ? "one" : null, null), Assert.Single(gone.Environment));
        Assert.Equal([shown ? $"environment changed: {name}: one -> two" : $"environment changed: {name}"], GenerationComparison.Lines(changed, 10));
    }

    [Fact]
    public void Secrets_are_compared_by_where_they_come_from()
    {
        Generate("shop-1", "v1.0.0", [], definition => definition with { SecretsFile = "/etc/agentd/secrets.d/a.env", Credentials = new Dictionary<string, string> { ["tls"] = "/etc/tls" } });
        Generate("shop-2", "v2.0.0", [], definition => definition with { SecretsFile = "/etc/agentd/secrets.d/b.env" });
        Assert.Equal(["(credential tls)", "(secrets file)"], room.Comparison.Compare(World.Shop, "shop-1", "shop-2").Environment.Select(difference => difference.Name));
    }

    [Fact]
    public void Units_are_compared_without_the_directory_that_each_generation_has_of_its_own()
    {
        Generate("shop-1", "v1.0.0", [], definition => definition with { Units = [Service("shop.service")] });
        Generate("shop-2", "v2.0.0", [], definition => definition with { Units = [Service("shop.service")] });
        Generate("shop-3", "v3.0.0", [], definition => definition with { Units = [Service("shop.service"), Service("shop-worker.service")] });
        Assert.Empty(room.Comparison.Compare(World.Shop, "shop-1", "shop-2").Units);
        Difference added = Assert.Single(room.Comparison.Compare(World.Shop, "shop-1", "shop-3").Units);
        Assert.Equal((DifferenceKind.Added, "shop-worker.service"), (added.Kind, added.Name));
    }

    [Fact]
    public void What_is_too_much_for_people_is_counted()
    {
        Generate("shop-1", "v1.0.0", []);
        Generate("shop-2", "v2.0.0", [Empty("a"), Empty("b"), Empty("c")]);
        GenerationDifference found = room.Comparison.Compare(World.Shop, "shop-1", "shop-2");
        Assert.Equal(["file added: a", "file added: b", "file added: c"], GenerationComparison.Lines(found, 3));
        Assert.Equal(["file added: a", "and 2 more"], GenerationComparison.Lines(found, 1));
    }

    [Fact]
    public void What_is_gone_cannot_be_compared()
    {
        Generate("shop-1", "v1.0.0", []);
        Generate("shop-2", "v2.0.0", []);
        room.Releases.Remove(World.Shop, "v2.0.0");
        foreach ((string a, string b, string gone) in new[] { ("shop-1", "shop-2", "shop-2"), ("shop-7", "shop-1", "shop-7") })
        {
            var refused = Assert.Throws<OperatorException>(() => room.Comparison.Compare(World.Shop, a, b));
            Assert.Equal((ExitCode.Refused, $"what {gone} made is not on this host any more"), (refused.Code, refused.Message));
        }
    }

    private static ManifestFile Empty(string path) => new(path, false, 0, Digest.Of(""u8), null);

    private void Generate(string id, string version, ManifestEntry[] entries, Func<AppDefinition, AppDefinition>? change = null)
    {
        ReleaseRef release = room.Install(version, entries);
        AppDefinition definition = room.Define() with { Environment = new Dictionary<string, string>() };
        room.Generations.Prepare(id, release, change is null ? definition : change(definition), null);
    }
}
