using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Hosting;
using Agent.Daemon.State;

namespace Agent.Tests.Hosting;

public class StatusReporterTests
{
    private static readonly ReleaseRef V1 = new("v1.2.0", "d1"), V2 = new("v1.3.0", "d2");
    private static readonly Track Stable = new Track.Channel("stable");
    private static readonly AppState Empty = AppState.Empty(new AppName("shop"));

    [Fact]
    public void Says_what_runs_and_what_it_follows()
    {
        Assert.Equal("shop v1.2.0 live; following channel stable", StatusReporter.Describe([(Empty with { Proved = [new ProvedRelease(V1, "d-8", DateTimeOffset.UnixEpoch)] }, Stable)]));
        Assert.Equal("shop v1.2.0 live", StatusReporter.Describe([(Empty with { Proved = [new ProvedRelease(V1, "d-8", DateTimeOffset.UnixEpoch)] }, null)]));
        Assert.Equal("shop v1.2.0 live; held at v1.3.0", StatusReporter.Describe([(Empty with { Proved = [new ProvedRelease(V1, "d-8", DateTimeOffset.UnixEpoch)], HeldAt = "v1.3.0" }, Stable)]));
    }

    [Fact]
    public void Says_where_a_deployment_is()
    {
        Assert.Equal("shop v1.2.0 -> v1.3.0 at gate",
            StatusReporter.Describe([(Empty with { Proved = [new ProvedRelease(V1, "d-8", DateTimeOffset.UnixEpoch)], Deployments = [Deployment(V1, Step.Gate, null)] }, null)]));
        Assert.Equal("shop nothing -> v1.3.0 at start", StatusReporter.Describe([(Empty with { Deployments = [Deployment(null, null, null)] }, null)]));
    }

    [Fact]
    public void Says_what_needs_a_person()
    {
        AppState state = Empty with { Proved = [new ProvedRelease(V1, "d-8", DateTimeOffset.UnixEpoch)], Attention = new Attention("d-9", "v1.0.0", "") };
        Assert.Equal("shop needs operator (deployment d-9)", StatusReporter.Describe([(state, null)]));
    }

    [Fact]
    public void Says_that_there_is_nothing()
    {
        Assert.Equal("no apps in apps.d", StatusReporter.Describe([]));
        Assert.Equal("shop not deployed, shop not deployed", StatusReporter.Describe([(Empty, null), (Empty, null)]));
    }

    private static Deployment Deployment(ReleaseRef? from, Step? step, Outcome? outcome) => new(
        "d-9", new AppName("shop"), from, from is null ? null : "d-8", V2, Trigger.Track, "tracking", DateTimeOffset.UnixEpoch, null, outcome, step, null, null, []);
}
