using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Migrations;
using Agent.Daemon.Migrations.Planning;
using Agent.Daemon.State;
using Agent.Tests.Fakes;

namespace Agent.Tests.Migrations.Planning;

public sealed class ReleaseOnHostTests : IDisposable
{
    private readonly World world = World.New();

    [Fact]
    public async Task A_release_that_is_not_on_the_host_is_fetched_and_nothing_of_it_stays_but_downloads()
    {
        await world.DeployAsync("v1.0.0");
        DeploymentPreview preview = await PreviewAsync("v1.1.0");
        Assert.Equal(("v1.0.0", "v1.1.0"), (preview.From?.Version, preview.To.Version));
        Assert.Null(preview.Refusal);
        using (ReadableRelease release = await Releases().OpenAsync(World.Shop, preview.To, "test", mayFetch: true, new Silence(), TestContext.Current.CancellationToken))
        {
            Assert.Equal("v1.1.0", release.Release.Version);
            Assert.True(world.Disk.Exists(release.Release.Directory + "/.agentd/manifest"));
            OperatorException busy = await Assert.ThrowsAsync<OperatorException>(() => world.StartAsync("v1.1.0", cancellationToken: TestContext.Current.CancellationToken));
            Assert.Equal(ExitCode.Refused, busy.Code);
        }
        Assert.False(world.Disk.Exists("/var/lib/agentd/downloads/shop/plan"));
        Assert.Equal(["v1.0.0"], world.Installed.List(World.Shop).Select(release => release.Version));
        Assert.Equal(Outcome.Live, (await world.DeployAsync("v1.1.0"))!.Outcome);
    }

    [Fact]
    public async Task A_release_that_is_on_the_host_is_read_where_it_lies_and_keeps_nobody_away()
    {
        await world.DeployAsync("v1.0.0");
        DeploymentPreview preview = await PreviewAsync("v1.0.0");
        using ReadableRelease release = await Releases().OpenAsync(World.Shop, preview.To, "test", mayFetch: true, new Silence(), TestContext.Current.CancellationToken);
        Assert.Equal(world.Installed.ReleaseDirectory(World.Shop, "v1.0.0"), release.Release.Directory);
        Assert.Equal(Outcome.Live, (await world.DeployAsync("v1.1.0"))!.Outcome);
    }

    [Fact]
    public async Task Who_may_only_look_has_nothing_fetched_and_keeps_no_deployment_waiting()
    {
        await world.DeployAsync("v1.0.0");
        DeploymentPreview preview = await PreviewAsync("v1.1.0");
        OperatorException e = await Assert.ThrowsAsync<OperatorException>(
            () => Releases().OpenAsync(World.Shop, preview.To, "test", mayFetch: false, new Silence(), TestContext.Current.CancellationToken));
        Assert.Equal((ExitCode.Refused, "shop v1.1.0 is not on this host, and only a deployer may have it fetched"), (e.Code, e.Message));
        using (world.Engine.TakeTurn(World.Shop, "test")) { }
        // What lies here is no matter of rights; and nobody has the turn while it is looked at.
        preview = await PreviewAsync("v1.0.0", force: true);
        using (await Releases().OpenAsync(World.Shop, preview.To, "test", mayFetch: false, new Silence(), TestContext.Current.CancellationToken))
            Assert.Equal(Outcome.Live, (await world.DeployAsync("v1.1.0"))!.Outcome);
    }

    [Fact]
    public async Task A_preview_says_what_a_deployment_would_be_refused_for_and_begins_nothing()
    {
        await world.DeployAsync("v1.0.0");
        await world.DeployAsync("v1.1.6");
        int before = world.Log.State.App(World.Shop).Count;
        Assert.Contains("v1.1.6 is quarantined", (await PreviewAsync("v1.1.6")).Refusal?.Message, StringComparison.Ordinal);
        Assert.Null((await PreviewAsync("v1.1.6", force: true)).Refusal);
        Assert.Contains("runs v1.0.0, not v9.0.0", (await PreviewAsync("v1.1.0", expect: "v9.0.0")).Refusal?.Message, StringComparison.Ordinal);
        world.Configuration.MaxVersion = new ReleaseVersion("v1.0.0");
        Assert.Contains("above v1.0.0", (await PreviewAsync("v1.1.0")).Refusal?.Message, StringComparison.Ordinal);
        Assert.Equal(before, world.Log.State.App(World.Shop).Count);
    }

    [Fact]
    public async Task A_preview_while_a_deployment_is_under_way_names_it()
    {
        Task<string> stopped = world.StopAtAsync(Step.Fetch);
        await world.StartAsync("v1.0.0", cancellationToken: TestContext.Current.CancellationToken);
        await stopped;
        Assert.Contains("shop-1", (await PreviewAsync("v1.1.0")).Refusal?.Message, StringComparison.Ordinal);
        world.GoOn();
        await world.Engine.IdleAsync();
    }

    public void Dispose() => world.Dispose();

    private Task<DeploymentPreview> PreviewAsync(string version, bool force = false, string? expect = null) =>
        world.Engine.PreviewAsync(new DeploymentRequest(World.Shop, new Track.Exactly(new ReleaseVersion(version)), Trigger.Deploy, "test", force) { Expect = expect }, TestContext.Current.CancellationToken);

    private ReleaseOnHost Releases() => new(world.Engine, world.Configuration, world.Source, world.Installed, world.Disk);

    private sealed class Silence : IWorkProgress
    {
        public void Report(string value)
        {
        }

        public void Report(string what, long done, long total)
        {
        }
    }
}
