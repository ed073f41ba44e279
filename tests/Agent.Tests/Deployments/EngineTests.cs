using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.State;
using Agent.Tests.Fakes;
using Outcome = Agent.Daemon.State.Outcome;
using Verdict = Agent.Daemon.Deployments.Verdict;

namespace Agent.Tests.Deployments;

/// <summary>What a person may ask of the engine, and what it answers; on a simulated disk under a simulated systemd.</summary>
public class EngineTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("Fetch", "Refused")]
    [InlineData("Restart", "RolledBack")]
    [InlineData("Gate", "RolledBack")]
    public async Task A_cancelled_deployment_goes_back_and_nobody_is_blamed(string step, string outcome)
    {
        Step at = Enum.Parse<Step>(step);
        using World world = await LiveAsync("v1.1.0");
        Deployment started = await world.StartToAsync("v1.2.0", at);
        Task<Deployment> cancelling = world.Engine.CancelAsync(started.Id, "uid 1000 (ann)", Cancel);
        world.GoOn();
        await cancelling;
        await world.Engine.IdleAsync();
        Deployment ended = world.Engine.Find(started.Id);
        Assert.Equal((Enum.Parse<Outcome>(outcome), "cancelled by uid 1000 (ann)"), (ended.Outcome, ended.Cause));
        Assert.Empty(world.Engine.State(World.Shop).Quarantined);
        world.AssertConsistent("cancelled");
    }

    [Fact]
    public async Task A_step_that_takes_for_ever_is_cancelled_in_its_midst()
    {
        using World world = await LiveAsync("v1.1.0");
        await world.StartToAsync("v1.2.0", Step.Fetch);
        await world.Engine.CancelAsync("shop-2", "ann", Cancel);   // nobody lets go of the step
        await world.Engine.IdleAsync();
        Assert.Equal("cancelled by ann", world.Engine.Find("shop-2").Cause);
    }

    [Fact]
    public async Task On_return_of_recovery_all_is_undone_but_what_may_come_later()
    {
        using World world = await LiveAsync("v1.1.0");
        await world.LeaveAtAsync("v1.2.0", Step.Restart);
        using World later = world.After(Loss.AgentKilled);
        later.Disk.MakeDirectories("/var/lib/agentd/evidence/shop");
        later.Disk.WriteAtomic("/var/lib/agentd/evidence/shop/shop-0.json", "{}"u8.ToArray(), DurableOperations.Mode600);   // of a deployment that the journal does not know any more
        Task<string> gate = later.StopAtAsync(Step.Gate);   // of the old release
        await later.Engine.RecoverAsync(Cancel);
        Assert.Equal(("v1.1.0", null), (later.Installed.Current(World.Shop), later.Engine.Find("shop-2").Outcome));
        Assert.DoesNotContain("shop-0.json", later.Disk.List("/var/lib/agentd/evidence/shop"));
        await gate;
        later.GoOn();
        await later.Engine.IdleAsync();
        Assert.Equal(Outcome.RolledBack, later.Engine.Find("shop-2").Outcome);
        later.AssertConsistent("recovered");
    }

    [Fact]
    public async Task Evidence_goes_with_the_deployment_that_it_is_of()
    {
        using World world = World.New(rich: true);
        await world.DeployAsync("v1.0.0");
        for (int i = 1; i < 8; i++) Assert.Equal(Outcome.RolledBack, (await world.DeployAsync($"v1.{i}.6"))!.Outcome);
        string[] known = [.. world.Engine.State(World.Shop).Deployments.Where(deployment => deployment.Outcome == Outcome.RolledBack).Select(deployment => deployment.Id + ".json")];
        Assert.Equal(known.Order(), world.Disk.List("/var/lib/agentd/evidence/shop").Order());
        Assert.InRange(known.Length, 1, 4);
    }

    [Fact]
    public async Task A_shorter_history_is_had_from_the_next_start()
    {
        using World world = World.New();
        for (int i = 0; i < 12; i++) await world.DeployAsync($"v1.{i}.0");
        long before = world.Disk.ReadAll("/var/lib/agentd/journal").Length;
        using World later = new(world.Disk.After(Loss.AgentKilled, new Fuse(int.MaxValue)), world.System, new Fuse(int.MaxValue), rich: true);
        await later.Engine.RecoverAsync(Cancel);
        Assert.InRange(later.Engine.State(World.Shop).Deployments.Count, 1, 4);
        Assert.InRange(later.Disk.ReadAll("/var/lib/agentd/journal").Length, 1, before / 2);
    }

    [Fact]
    public async Task What_is_live_or_ended_is_not_cancelled_any_more()
    {
        using World world = await LiveAsync("v1.1.0");
        var refused = await Assert.ThrowsAsync<OperatorException>(() => world.Engine.CancelAsync("shop-1", "ann", Cancel));
        Assert.Equal((ExitCode.Refused, "shop-1 has ended"), (refused.Code, refused.Message));
        Deployment started = await world.StartToAsync("v1.2.0", Step.Sweep);
        refused = await Assert.ThrowsAsync<OperatorException>(() => world.Engine.CancelAsync(started.Id, "ann", Cancel));
        Assert.Equal("shop-2 is behind its commit point: v1.2.0 is live", refused.Message);
        world.GoOn();
        await world.Engine.IdleAsync();
        Assert.Equal(Outcome.Live, world.Engine.Find(started.Id).Outcome);
    }

    [Fact]
    public async Task A_request_that_expects_something_else_changes_nothing()
    {
        using World world = await LiveAsync("v1.1.0");
        var refused = await Assert.ThrowsAsync<OperatorException>(() => world.StartAsync("v1.2.0", request => request with { Expect = "v1.0.0" }));
        Assert.Equal((ExitCode.Refused, "shop runs v1.1.0, not v1.0.0 as was expected"), (refused.Code, refused.Message));
        await Assert.ThrowsAsync<OperatorException>(() => world.StartAsync("v1.2.0", request => request with { Expect = "none" }));
        Assert.Single(world.Engine.State(World.Shop).Deployments);
        await world.StartAsync("v1.2.0", request => request with { Expect = "v1.1.0" });
        await world.Engine.IdleAsync();
        Assert.Equal("v1.2.0", world.Installed.Current(World.Shop));
    }

    [Fact]
    public async Task Those_who_wait_get_their_turn_in_order()
    {
        using World world = await LiveAsync("v1.1.0");
        await world.StartToAsync("v1.2.0", Step.Gate);
        await Assert.ThrowsAsync<OperatorException>(() => world.StartAsync("v1.9.0"));
        var told = new List<string>();
        Task<Deployment> second = world.StartAsync("v1.3.0", request => request with { Waiting = told.Add });
        using var leaving = new CancellationTokenSource();
        Task<Deployment> third = world.StartAsync("v1.4.0", request => request with { Waiting = _ => { } }, leaving.Token);
        Task<Deployment> fourth = world.StartAsync("v1.5.0", request => request with { Waiting = _ => { } });
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => third);
        world.GoOn();
        await second;
        await fourth;
        await world.Engine.IdleAsync();
        Assert.Equal(["v1.1.0", "v1.2.0", "v1.3.0", "v1.5.0"], world.Engine.State(World.Shop).Deployments.Select(d => d.To.Version));
        Assert.Contains("waiting for shop-2 to v1.2.0, which is at gate", told);
    }

    [Fact]
    public async Task A_rollback_by_a_person_restores_what_ran_and_not_todays_settings()
    {
        using World world = await LiveAsync("v1.1.0", "v1.2.0");
        await world.DeployAsync("v1.1.0", Trigger.Rollback, settings: "something else");
        Assert.Contains("FOR=\"v1.1.0\"", world.System.Running["shop.service"].Environment, StringComparison.Ordinal);
        Assert.Equal("v1.2.0", world.Engine.State(World.Shop).HeldAt);
        await world.DeployAsync("v1.3.0", settings: "something else");
        Assert.Contains("FOR=\"something else\"", world.System.Running["shop.service"].Environment, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_runs_is_deployed_again_where_its_settings_have_changed_and_else_not()
    {
        using World world = await LiveAsync("v1.1.0");
        Assert.Equal("shop-1", (await world.DeployAsync("v1.1.0"))!.Id);
        Deployment again = (await world.DeployAsync("v1.1.0", settings: "blue"))!;
        Assert.Equal(("shop-2", Outcome.Live), (again.Id, again.Outcome));
        Assert.Contains("FOR=\"blue\"", world.System.Running["shop.service"].Environment, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Where_the_old_release_fails_too_an_operator_is_asked_for_and_the_release_is_not_blamed()
    {
        using World world = await LiveAsync("v1.1.0");
        world.System.Broken.Add("v1.1.0");
        Deployment ended = (await world.DeployAsync("v1.2.5"))!;
        Assert.Equal(Outcome.NeedsOperator, ended.Outcome);
        AppState state = world.Engine.State(World.Shop);
        Assert.Empty(state.Quarantined);
        Assert.Equal("shop-2", state.Attention?.Deployment);
        Assert.Contains("it looks like this host", world.Engine.Verdict(ended), StringComparison.Ordinal);
        using World later = world.After(Loss.Kept);
        Assert.Equal("shop-2", later.Engine.State(World.Shop).Attention?.Deployment);
        Assert.Contains("it looks like this host", later.Engine.Verdict(later.Engine.Find("shop-2")), StringComparison.Ordinal);
        later.Engine.Resume(World.Shop, "ann");
        Assert.Null(later.Engine.State(World.Shop).Attention);
    }

    [Fact]
    public async Task Another_failure_of_the_old_release_looks_like_something_left_behind()
    {
        using World world = await LiveAsync("v1.1.0");
        world.System.Broken.Add("v1.1.0");
        Deployment ended = (await world.DeployAsync("v1.2.6"))!;   // answers 500, whereas the old one exits
        Assert.Equal(Outcome.NeedsOperator, ended.Outcome);
        string verdict = Verdict.Of(ended, world.Engine.EvidenceOf(ended)! with { OldChecks = [] });
        Assert.Contains("left something behind", verdict, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Five_bad_releases_in_a_row_leave_the_good_ones_alone()
    {
        using World world = await LiveAsync("v1.0.0", "v1.1.0");
        foreach (string bad in new[] { "v1.2.5", "v1.3.5", "v1.4.6", "v1.6.6", "v1.7.5" }) Assert.Equal(Outcome.RolledBack, (await world.DeployAsync(bad, Trigger.Track))!.Outcome);
        Assert.Equal(["v1.0.0", "v1.1.0"], world.Installed.List(World.Shop).Select(r => r.Version).Order());
        Assert.Equal("v1.1.0", world.System.Running["shop.service"].Version);
        world.AssertConsistent("after five bad ones");
        Assert.Equal("v1.0.0", (await world.DeployAsync("v1.0.0", Trigger.Rollback))!.To.Version);
        world.AssertConsistent("rolled back");
    }

    [Fact]
    public async Task What_a_person_told_tracking_survives_the_agent()
    {
        using World world = await LiveAsync("v1.1.0");
        await world.DeployAsync("v1.2.5", Trigger.Track);
        world.Engine.Hold(World.Shop, "ann", "audit");
        Assert.Equal("v1.1.0", world.Engine.Pin(World.Shop, null, "bob", ""));
        world.Engine.Unquarantine(World.Shop, new ReleaseVersion("v1.2.5"), "ann", "the disk was full");
        using World later = world.After(Loss.Dropped);
        AppState state = later.Engine.State(World.Shop);
        Assert.Equal(("ann", "audit"), (state.Hold?.By, state.Hold?.Reason));
        Assert.Equal(("v1.1.0", "bob"), (state.Pin?.Version, state.Pin?.By));
        Assert.Empty(state.Quarantined);
        later.Engine.Resume(World.Shop, "ann");
        later.Engine.Unpin(World.Shop, "ann");
        Assert.Equal((null, null), (later.Engine.State(World.Shop).Hold, later.Engine.State(World.Shop).Pin));
        Assert.Throws<OperatorException>(() => later.Engine.Unquarantine(World.Shop, new ReleaseVersion("v1.2.5"), "ann", ""));
    }

    [Fact]
    public async Task Evidence_tells_hooks_and_changes_and_no_secret()
    {
        using World world = await LiveAsync(rich: true, "v1.1.0");
        Deployment ended = (await world.DeployAsync("v1.2.8", Trigger.Track))!;
        Evidence seen = world.Engine.EvidenceOf(ended)!;
        Assert.Equal("gate", seen.Step);
        Assert.Equal(["before-stage", "before-flip", "after-gate"], seen.Hooks.Select(hook => hook.Name));
        Assert.Equal("exit status 1", seen.Hooks[^1].Cause);
        Assert.Contains(seen.Changed, line => line == "environment changed: FOR: v1.1.0 -> v1.2.8");
        Assert.Contains(seen.Changed, line => line == "file changed: VERSION");
        Assert.DoesNotContain("s3cret", System.Text.Json.JsonSerializer.Serialize(seen), StringComparison.Ordinal);
        Assert.Contains(seen.Hooks[^1].Output, line => line == "key is [secret]");
        Assert.Equal(
            "shop v1.2.8 failed at gate: hook after-gate failed: exit status 1: key is [secret]. v1.1.0 answers again on the same host, so it is the release, and it was quarantined here",
            world.Engine.Verdict(ended));
    }

    [Fact]
    public async Task The_difference_between_two_generations_hides_what_may_be_a_secret()
    {
        using World world = await LiveAsync("v1.1.0", "v1.2.0");
        GenerationDifference difference = world.Engine.Diff(World.Shop, null, null);
        Assert.Equal(("v1.1.0 (shop-1)", "v1.2.0 (shop-2)"), (difference.A, difference.B));
        Assert.Contains(new Difference(DifferenceKind.Changed, "API_TOKEN", null, null), difference.Environment);
        Assert.Contains(new Difference(DifferenceKind.Changed, "FOR", "v1.1.0", "v1.2.0"), difference.Environment);
        Assert.Equal(["VERSION"], difference.Files.Select(f => f.Name));
        Assert.Contains(difference.Units, unit => unit.Name == "shop.service");
        Assert.Equal(difference.A, world.Engine.Diff(World.Shop, "v1.1.0", "shop-2").A);
        Assert.Equal(ExitCode.Usage, Assert.Throws<OperatorException>(() => world.Engine.Diff(World.Shop, "v7.0.0", null)).Code);
    }

    [Fact]
    public async Task Above_the_operators_ceiling_only_with_force()
    {
        using World world = await LiveAsync("v1.1.0");
        world.Configuration.MaxVersion = new ReleaseVersion("v1.5.0");
        var refused = await Assert.ThrowsAsync<OperatorException>(() => world.StartAsync("v1.6.0"));
        Assert.Equal("shop v1.6.0 is above v1.5.0, the max_version of apps.d/shop.yaml", refused.Message);
        await world.StartAsync("v1.6.0", request => request with { Force = true });
        await world.Engine.IdleAsync();
        Assert.Equal("v1.6.0", world.Installed.Current(World.Shop));
    }

    [Fact]
    public async Task What_a_person_deploys_instead_of_the_channels_is_remembered_until_tracking_deploys()
    {
        using World world = await LiveAsync("v1.1.0");
        (world.Source.Channel, world.Configuration.Follows) = ("v1.1.0", true);
        await world.DeployAsync("v1.3.0");
        Assert.Equal("v1.1.0", world.Engine.State(World.Shop).PassedOver);
        await world.DeployAsync("v1.4.0", Trigger.Track);
        Assert.Null(world.Engine.State(World.Shop).PassedOver);
        world.Source.Channel = "v1.6.0";
        await world.DeployAsync("v1.6.0");
        Assert.Null(world.Engine.State(World.Shop).PassedOver);
    }

    [Fact]
    public async Task Room_is_made_by_older_good_releases_and_never_by_the_last_good_one()
    {
        using World world = await LiveAsync("v1.0.0", "v1.1.0", "v1.2.0");
        world.Configuration.KeepFree = long.MaxValue;   // more than there can be
        Assert.Contains(world.Engine.Releases(World.Shop), r => r.Release.Version == "v1.0.0" && r.KeptBecause!.Contains("unless less than", StringComparison.Ordinal));
        world.Disk.Free = 1;
        await world.DeployAsync("v1.3.0");
        Assert.Equal(["v1.2.0", "v1.3.0"], world.Installed.List(World.Shop).Select(r => r.Version).Order());
        world.AssertConsistent("with no room");
    }

    private static Task<World> LiveAsync(params string[] versions) => LiveAsync(rich: false, versions);

    private static async Task<World> LiveAsync(bool rich, params string[] versions)
    {
        World world = World.New(rich: rich);
        foreach (string version in versions) Assert.Equal(Outcome.Live, (await world.DeployAsync(version))!.Outcome);
        return world;
    }
}
