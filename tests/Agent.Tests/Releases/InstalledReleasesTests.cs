using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Manifests;
using Agent.Daemon.Deployments;
using Agent.Daemon.Releases;
using Agent.Daemon.State;
using Agent.Tests.Fakes;

namespace Agent.Tests.Releases;

/// <summary>A release is whole or not there, and the switch points at one or at nothing.</summary>
public class InstalledReleasesTests
{
    private const string Releases = "/srv/shop/releases";

    private static readonly ManifestFile Tool = new("bin/tools/run", Executable: true, 4, Digest.Of("tool"u8), new FramePlace(0, 0, 4, 4, 0));

    private readonly SimulatedDisk disk = new(new Fuse(int.MaxValue));
    private readonly InstalledReleases installed;

    public InstalledReleasesTests()
    {
        disk.MakeDirectories("/srv");
        disk.MakeDirectories("/downloads");
        installed = new InstalledReleases(disk, "/srv");
    }

    [Fact]
    public void Lays_out_every_kind_of_entry_with_its_mode()
    {
        Manifest manifest = Stage("v1.0.0", new ManifestDirectory("bin"), Tool, new ManifestFile("bin/tools/zero", false, 0, Digest.Of(""u8), null), new ManifestLink("run", "bin/tools/run"), new ManifestDirectory("var/empty"));
        Assert.Equal("tool", disk.ReadText($"{Releases}/v1.0.0/bin/tools/run"));
        Assert.Equal("", disk.ReadText($"{Releases}/v1.0.0/bin/tools/zero"));
        Assert.Equal("0444", Mode($"{Releases}/v1.0.0/bin/tools/zero"));
        Assert.Equal("bin/tools/run", disk.ReadLink($"{Releases}/v1.0.0/run"));
        Assert.Equal(EntryKind.Directory, disk.Kind($"{Releases}/v1.0.0/var/empty"));
        Assert.Equal("0755", Mode($"{Releases}/v1.0.0/bin/tools"));
        Assert.Equal(["v1.0.0"], disk.List(Releases));
        Assert.Equal(manifest.Files, installed.Manifest(World.Shop, "v1.0.0").Files);
    }

    [Fact]
    public void An_empty_program_may_be_run_too()
    {
        Stage("v1.0.0", new ManifestFile("run", Executable: true, 0, Digest.Of(""u8), null));
        Assert.Equal("0555", Mode($"{Releases}/v1.0.0/run"));
    }

    [Fact]
    public void What_proved_itself_is_not_replaced_by_other_contents_and_what_did_not_is()
    {
        Stage("v1.0.0", new ManifestDirectory("first"));
        var refused = Assert.Throws<OperatorException>(() => Stage("v1.0.0", mayReplace: false, new ManifestDirectory("second")));
        Assert.Equal((ExitCode.Refused, "/srv/shop/releases/v1.0.0 holds another v1.0.0 that ran here before"), (refused.Code, refused.Message));
        Assert.Equal(EntryKind.Directory, disk.Kind($"{Releases}/v1.0.0/first"));
        Stage("v1.0.0", new ManifestDirectory("second"));
        Assert.Equal(EntryKind.Missing, disk.Kind($"{Releases}/v1.0.0/first"));
        Stage("v2.0.0", mayReplace: false, new ManifestDirectory("third"));
        Assert.Equal(["v1.0.0", "v2.0.0"], installed.List(World.Shop).Select(release => release.Version).Order());
    }

    [Fact]
    public void What_a_cut_stage_left_is_begun_anew()
    {
        disk.MakeDirectories($"{Releases}/.staging-v1.0.0/of/another/try");
        Stage("v1.0.0", new ManifestDirectory("var"));
        Assert.Equal([".agentd", "var"], disk.List($"{Releases}/v1.0.0").Order(StringComparer.Ordinal));
        disk.MakeDirectories($"{Releases}/.staging-v3.0.0/half");
        installed.RemoveLeftovers(World.Shop);
        Assert.Equal(["v1.0.0"], disk.List(Releases));
    }

    [Fact]
    public void A_stage_that_is_cancelled_leaves_no_release()
    {
        Assert.Throws<OperationCanceledException>(() => installed.Stage(Fetched("v1.0.0", Tool), mayReplace: true, new CancellationToken(canceled: true)));
        Assert.Empty(installed.List(World.Shop));
    }

    [Fact]
    public void Only_what_has_a_manifest_is_a_release_and_only_its_digest_makes_it_the_one_that_is_meant()
    {
        Stage("v1.0.0", Tool);
        disk.MakeDirectories($"{Releases}/v0.9.0");
        disk.MakeDirectories($"{Releases}/.staging-v2.0.0/.agentd");
        disk.WriteAtomic($"{Releases}/.staging-v2.0.0/.agentd/manifest", "x");
        ReleaseRef found = Assert.Single(installed.List(World.Shop));
        Assert.Equal("v1.0.0", found.Version);
        Assert.True(installed.Holds(World.Shop, found));
        Assert.False(installed.Holds(World.Shop, found with { Digest = "other" }));
        Assert.False(installed.Holds(World.Shop, found with { Version = "v0.9.0" }));
    }

    [Fact]
    public void Text_is_read_from_files_of_the_release_and_never_through_a_link()
    {
        Stage("v1.0.0", Tool, new ManifestLink("passwd", "bin/tools/run"));
        Assert.Equal("tool", installed.ReadText(World.Shop, "v1.0.0", "bin/tools/run"));
        Assert.Null(installed.ReadText(World.Shop, "v1.0.0", "passwd"));
        Assert.Null(installed.ReadText(World.Shop, "v1.0.0", "agent.yaml"));
    }

    [Fact]
    public void The_switch_points_at_one_release_or_is_not_there()
    {
        Stage("v1.0.0", Tool);
        Stage("v2.0.0", Tool);
        Assert.Null(installed.Current(World.Shop));
        foreach (string? version in new[] { "v1.0.0", "v1.0.0", "v2.0.0", null, null })
        {
            installed.Flip(World.Shop, version);
            Assert.Equal(version, installed.Current(World.Shop));
            Assert.Equal(version, new InstalledReleases(disk.After(Loss.Dropped, new Fuse(int.MaxValue)), "/srv").Current(World.Shop));
        }
    }

    [Fact]
    public void A_release_is_removed_whole_and_removing_what_is_gone_does_nothing()
    {
        Stage("v1.0.0", Tool);
        disk.MakeDirectories($"{Releases}/.staging-v1.0.0/half");
        installed.Remove(World.Shop, "v1.0.0");
        Assert.Empty(disk.List(Releases));
        installed.Remove(World.Shop, "v1.0.0");
        Assert.Empty(new InstalledReleases(disk.After(Loss.Dropped, new Fuse(int.MaxValue)), "/srv").List(World.Shop));
    }

    private string Mode(string path) => "0" + Convert.ToString((int)disk.Status(path)!.Mode, 8);

    private Manifest Stage(string version, params ManifestEntry[] entries) => Stage(version, mayReplace: true, entries);

    private Manifest Stage(string version, bool mayReplace, params ManifestEntry[] entries)
    {
        FetchedRelease fetched = Fetched(version, entries);
        installed.Stage(fetched, mayReplace, CancellationToken.None);
        return fetched.Manifest;
    }

    private FetchedRelease Fetched(string version, params ManifestEntry[] entries)
    {
        disk.RemoveTree("/downloads/tool");
        disk.WriteFile("/downloads/tool", DurableOperations.Mode644, stream => stream.Write("tool"u8));
        var manifest = new Manifest(World.Shop, new ReleaseVersion(version), [.. entries.OrderBy(entry => entry.Path, StringComparer.Ordinal)], [new PackReference(Digest.Of("pack"u8), 4)]);
        byte[] stored = ManifestFormat.Serialize(manifest);
        string path = $"/downloads/{version}-{Digest.Of(stored).Hex}";
        if (!disk.Exists(path)) disk.WriteFile(path, DurableOperations.Mode644, stream => stream.Write(stored));
        return new FetchedRelease(
            new ReleaseId(World.Shop, manifest.Version, Digest.Of(stored)), manifest, path, new Dictionary<string, string> { [FetchedRelease.ObjectKey(Tool)] = "/downloads/tool" });
    }
}
