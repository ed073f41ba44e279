using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.State;
using Agent.Tests.Fakes;
using Outcome = Agent.Daemon.State.Outcome;

namespace Agent.Tests.Deployments;

/// <summary>Deployments of what a caller brought along.</summary>
public sealed class PushedDeploymentTests : IDisposable
{
    private readonly World world = World.New();

    public void Dispose() => world.Dispose();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Is_deployed_by_its_digest_without_the_store_and_says_who_pushed_it(bool isUnsigned)
    {
        await world.DeployAsync("v1.0.0");
        Push("v1.1.0", isUnsigned);
        Deployment deployment = await DeployAsync("v1.1.0", named: false);
        Assert.Equal((Outcome.Live, "v1.1.0", "ann", isUnsigned), (deployment.Outcome, deployment.To.Version, deployment.PushedBy, deployment.Unsigned));
        world.AssertConsistent("pushed");
        Assert.Equal(isUnsigned, world.Engine.State(World.Shop).Proved[0].Unsigned);

        // What is on the host may be gone back to; that it came without signatures is not forgotten.
        await world.DeployAsync("v1.2.0");
        Deployment back = (await world.DeployAsync("v1.1.0", Trigger.Rollback))!;
        Assert.Equal((Outcome.Live, (string?)null, isUnsigned), (back.Outcome, back.PushedBy, back.Unsigned));
        Assert.False(world.Engine.State(World.Shop).Deployments[0].Unsigned);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Its_version_stands_for_it_where_it_has_its_signatures_and_the_store_is_not_asked(bool isUnsigned)
    {
        Push("v1.1.0", isUnsigned);
        world.Source.Answers = Task.FromException(new OperatorException(ExitCode.Unreachable, "the store does not answer", "look at it"));
        if (isUnsigned) Assert.Equal(ExitCode.Unreachable, (await Assert.ThrowsAsync<OperatorException>(() => world.DeployAsync("v1.1.0"))).Code);
        else Assert.Equal((Outcome.Live, "ann"), ((await world.DeployAsync("v1.1.0"))!.Outcome, world.Engine.State(World.Shop).Deployments[0].PushedBy));
    }

    [Fact]
    public async Task Once_deployed_it_is_found_by_its_digest_though_it_was_swept()
    {
        Push("v1.1.0", unsigned: true);
        await DeployAsync("v1.1.0", named: true);
        world.Source.Pushed = _ => null;
        Deployment again = await DeployAsync("v1.1.0", named: true);
        Assert.Equal("shop-1", again.Id);
        Assert.True(world.Engine.IsUnsigned(World.Shop, World.FakeSource.DigestOf("v1.1.0")));
        await world.DeployAsync("v1.2.0");
        Assert.Equal("v1.1.0", (await DeployAsync("v1.1.0", named: false)).To.Version);   // not the one that ran last
    }

    [Fact]
    public async Task What_was_not_pushed_is_refused()
    {
        var refused = await Assert.ThrowsAsync<OperatorException>(() => DeployAsync("v1.1.0", named: true));
        string digest = World.FakeSource.DigestOf("v1.1.0").Short;
        Assert.Equal(
            (ExitCode.Refused, $"no release {digest} of shop waits on this host: it was not pushed here, or was swept since", "push it again"), (refused.Code, refused.Message, refused.Remedy));
        Push("v1.1.0", unsigned: false);
        refused = await Assert.ThrowsAsync<OperatorException>(() => world.StartAsync("v1.2.0", request => request with { Pushed = World.FakeSource.DigestOf("v1.1.0") }));
        Assert.Equal((ExitCode.Usage, $"{digest} is shop v1.1.0, not v1.2.0", "name v1.1.0, or leave the version out"), (refused.Code, refused.Message, refused.Remedy));
    }

    [Fact]
    public async Task A_quarantined_release_is_not_let_in_by_a_push()
    {
        await world.DeployAsync("v1.0.0");
        Assert.Equal(Outcome.RolledBack, (await world.DeployAsync("v1.1.6"))!.Outcome);
        Push("v1.1.6", unsigned: true);
        Assert.Equal(ExitCode.Refused, (await Assert.ThrowsAsync<OperatorException>(() => DeployAsync("v1.1.6", named: true))).Code);
    }

    [Fact]
    public async Task What_is_followed_is_passed_over_until_it_moves()
    {
        (world.Configuration.Follows, world.Source.Channel) = (true, "v1.0.0");
        Push("v1.1.0", unsigned: false);
        Assert.Equal("v1.0.0", (await DeployAsync("v1.1.0", named: false)).PassedOver);
    }

    [Fact]
    public void The_first_unsigned_push_is_kept_for_ever()
    {
        world.Engine.KeepUnsigned(Pushed("v1.1.0", unsigned: true));
        world.Engine.KeepUnsigned(Pushed("v1.2.0", unsigned: true));
        Assert.Equal(("v1.1.0", "ann"), (world.Engine.State(World.Shop).Unsigned!.Version, world.Engine.State(World.Shop).Unsigned!.By));
        using World later = world.After(Loss.Dropped);
        Assert.Equal("v1.1.0", later.Engine.State(World.Shop).Unsigned!.Version);
    }

    private static PushedRelease Pushed(string version, bool unsigned) => new(new ReleaseId(World.Shop, new ReleaseVersion(version), World.FakeSource.DigestOf(version)), unsigned, "ann");

    private void Push(string version, bool unsigned) => world.Source.Pushed = digest => digest == World.FakeSource.DigestOf(version) ? Pushed(version, unsigned) : null;

    private async Task<Deployment> DeployAsync(string version, bool named)
    {
        world.Configuration.For = version;
        Deployment started = await world.Engine.StartAsync(
            new DeploymentRequest(World.Shop, named ? new Track.Exactly(new ReleaseVersion(version)) : null, Trigger.Deploy, "test", Force: false) { Pushed = World.FakeSource.DigestOf(version) }, CancellationToken.None);
        await world.Engine.IdleAsync();
        return world.Engine.Find(started.Id);
    }
}
