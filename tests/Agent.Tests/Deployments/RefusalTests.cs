using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.State;
using Agent.Tests.Fakes;
using Outcome = Agent.Daemon.State.Outcome;

namespace Agent.Tests.Deployments;

/// <summary>What the engine does not do, and what it says instead.</summary>
public class RefusalTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_quarantined_release_is_refused_with_its_cause_and_deployed_with_force()
    {
        using World world = await LiveAsync("v1.1.0");
        Assert.Equal(Outcome.RolledBack, (await world.DeployAsync("v1.2.6"))!.Outcome);
        OperatorException refused = await RefusedAsync(ExitCode.Refused, () => world.StartAsync("v1.2.6"));
        Assert.StartsWith("shop v1.2.6 is quarantined on this host since shop-2: ", refused.Message, StringComparison.Ordinal);
        Assert.Contains("GET /up gave 500", refused.Message, StringComparison.Ordinal);
        Assert.Contains("agentctl unquarantine v1.2.6 --app shop", refused.Remedy, StringComparison.Ordinal);
        Assert.Equal("shop-3", (await world.DeployAsync("v1.2.6", force: true))!.Id);
    }

    [Fact]
    public async Task A_ceiling_lets_what_is_at_it_pass_and_a_rollback_is_not_told_to_use_force()
    {
        using World world = await LiveAsync("v1.1.0", "v1.6.0", "v1.5.0");
        world.Configuration.MaxVersion = new ReleaseVersion("v1.5.0");
        OperatorException refused = await RefusedAsync(ExitCode.Refused, () => world.StartAsync("v1.6.0", request => request with { Trigger = Trigger.Rollback }));
        Assert.Equal("raise max_version", refused.Remedy);
        refused = await RefusedAsync(ExitCode.Refused, () => world.StartAsync("v1.6.0"));
        Assert.Equal("raise max_version, or use --force", refused.Remedy);
        world.Configuration.MaxVersion = new ReleaseVersion("v1.5.1");
        Assert.Equal(Outcome.Live, (await world.DeployAsync("v1.5.1"))!.Outcome);
    }

    [Fact]
    public async Task Where_nothing_is_followed_a_version_is_needed_and_where_nothing_is_found_that_is_told()
    {
        using World world = await LiveAsync("v1.1.0");
        OperatorException refused = await RefusedAsync(ExitCode.Usage, () => world.StartAsync("v1.2.0", WhatIsFollowed));
        Assert.Equal(("shop follows nothing, so a version is needed", "name one: agentctl deploy v1.2.3 --app shop"), (refused.Message, refused.Remedy));
        world.Configuration.Follows = true;
        refused = await RefusedAsync(ExitCode.Usage, () => world.StartAsync("v1.2.0", WhatIsFollowed));
        Assert.Equal(("the store has no shop channel stable", "list what it has: agentctl store list --app shop"), (refused.Message, refused.Remedy));
        world.Source.Channel = "v1.2.0";
        world.Configuration.For = "v1.2.0";
        await world.Engine.StartAsync(new DeploymentRequest(World.Shop, null, Trigger.Deploy, "ann", Force: false), Cancel);
        await world.Engine.IdleAsync();
        Assert.Equal(("v1.2.0", null), (world.Installed.Current(World.Shop), world.Engine.State(World.Shop).PassedOver));
    }

    [Fact]
    public async Task Going_back_needs_a_release_that_ran_here()
    {
        using World world = await LiveAsync("v1.1.0");
        OperatorException refused = await RefusedAsync(ExitCode.Refused, () => world.Engine.StartAsync(Back(null), Cancel));
        Assert.Equal(("there is no release of shop on this host to go back to", "deploy one: agentctl deploy VERSION --app shop"), (refused.Message, refused.Remedy));
        refused = await RefusedAsync(ExitCode.Usage, () => world.Engine.StartAsync(Back("v1.0.0"), Cancel));
        Assert.Equal(("shop v1.0.0 has not run healthy on this host, or is gone from it", "deploy it: agentctl deploy v1.0.0 --app shop"), (refused.Message, refused.Remedy));
        await world.DeployAsync("v1.2.0");
        refused = await RefusedAsync(ExitCode.Usage, () => world.Engine.StartAsync(Back("v1.0.0"), Cancel));
        Assert.Equal("choose one of v1.1.0", refused.Remedy);
        await world.DeployAsync("v1.3.0");
        await world.DeployAsync("v1.2.0");
        refused = await RefusedAsync(ExitCode.Usage, () => world.Engine.StartAsync(Back("v1.0.0"), Cancel));
        Assert.Equal("choose one of v1.3.0, v1.1.0", refused.Remedy);
        Assert.Equal("shop-4", (await world.Engine.StartAsync(Back("v1.2.0"), Cancel)).Id);   // it runs
        Deployment back = await world.Engine.StartAsync(Back(null), Cancel);
        await world.Engine.IdleAsync();
        Assert.Equal(("v1.3.0", "v1.3.0"), (back.To.Version, world.Installed.Current(World.Shop)));
    }

    [Fact]
    public async Task Nothing_is_gone_back_to_that_is_not_on_this_host_any_more()
    {
        using World world = await LiveAsync("v1.1.0", "v1.2.0");
        world.Installed.Remove(World.Shop, "v1.1.0");
        await RefusedAsync(ExitCode.Refused, () => world.Engine.StartAsync(Back(null), Cancel));
    }

    [Fact]
    public async Task A_first_deployment_may_expect_that_nothing_runs()
    {
        using World world = World.New();
        OperatorException refused = await RefusedAsync(ExitCode.Refused, () => world.StartAsync("v1.1.0", request => request with { Expect = "v1.0.0" }));
        Assert.Equal(("shop runs nothing, not v1.0.0 as was expected", "look at it with 'agentctl status', then ask again"), (refused.Message, refused.Remedy));
        await world.StartAsync("v1.1.0", request => request with { Expect = "none" });
        await world.Engine.IdleAsync();
        Assert.Equal("v1.1.0", world.Installed.Current(World.Shop));
    }

    [Fact]
    public async Task While_one_is_under_way_another_is_told_which_and_where_it_is()
    {
        using World world = await LiveAsync("v1.1.0");
        await world.StartToAsync("v1.2.0", Step.Gate);
        OperatorException refused = await RefusedAsync(ExitCode.Refused, () => world.StartAsync("v1.3.0"));
        Assert.Equal(("shop is being deployed: shop-2 to v1.2.0 is at gate", "wait for it with 'agentctl watch shop-2', or for your turn with --wait"), (refused.Message, refused.Remedy));
        world.GoOn();
        await world.Engine.IdleAsync();
    }

    [Fact]
    public async Task While_one_is_just_starting_another_is_told_whose_it_is()
    {
        using World world = await LiveAsync("v1.1.0");
        var answer = new TaskCompletionSource();
        world.Source.Answers = answer.Task;
        Task<Deployment> first = world.StartAsync("v1.2.0", request => request with { By = "ann" });
        OperatorException refused = await RefusedAsync(ExitCode.Refused, () => world.StartAsync("v1.3.0"));
        Assert.Equal(("a deployment of shop, asked for by ann, is just starting", "look at it with 'agentctl status', or wait your turn with --wait"), (refused.Message, refused.Remedy));
        answer.SetResult();
        await first;
        await world.Engine.IdleAsync();
        Assert.Equal("v1.2.0", world.Installed.Current(World.Shop));
    }

    [Fact]
    public async Task A_look_before_the_leap_tells_what_would_be_refused_and_begins_nothing()
    {
        using World world = World.New();
        DeploymentPreview first = await PreviewAsync("v1.1.0");
        Assert.Equal((null, null, "v1.1.0", null), (first.From, first.Runs, first.To.Version, first.Refusal));
        await world.DeployAsync("v1.1.0");
        await world.DeployAsync("v1.2.6");
        Assert.StartsWith("shop v1.2.6 is quarantined", (await PreviewAsync("v1.2.6")).Refusal!.Message, StringComparison.Ordinal);
        Assert.Null((await PreviewAsync("v1.2.6", request => request with { Force = true })).Refusal);
        DeploymentPreview unexpected = await PreviewAsync("v1.3.0", request => request with { Expect = "v1.0.0" });
        Assert.Equal(("v1.1.0", "v1.1.0", "shop runs v1.1.0, not v1.0.0 as was expected"), (unexpected.From!.Version, unexpected.Runs!.Environment["FOR"], unexpected.Refusal!.Message));
        await world.StartToAsync("v1.3.0", Step.Gate);
        Assert.Equal("shop is being deployed: shop-3 to v1.3.0 is at gate", (await PreviewAsync("v1.4.0")).Refusal!.Message);
        world.GoOn();
        await world.Engine.IdleAsync();
        Assert.Equal(3, world.Engine.State(World.Shop).Count);

        Task<DeploymentPreview> PreviewAsync(string version, Func<DeploymentRequest, DeploymentRequest>? change = null)
        {
            var request = new DeploymentRequest(World.Shop, new Track.Exactly(new ReleaseVersion(version)), Trigger.Deploy, "ann", Force: false);
            return world.Engine.PreviewAsync(change is null ? request : change(request), Cancel);
        }
    }

    [Fact]
    public async Task What_must_not_meet_a_deployment_has_its_turn_alone()
    {
        using World world = await LiveAsync("v1.1.0");
        await world.StartToAsync("v1.2.0", Step.Gate);
        Assert.Equal("shop is being deployed: shop-2 to v1.2.0 is at gate", Assert.Throws<OperatorException>(() => world.Engine.TakeTurn(World.Shop, "ann")).Message);
        world.GoOn();
        await world.Engine.IdleAsync();
        using (world.Engine.TakeTurn(World.Shop, "ann"))
        {
            OperatorException refused = await RefusedAsync(ExitCode.Refused, () => world.StartAsync("v1.3.0"));
            Assert.Equal("a deployment of shop, asked for by ann, is just starting", refused.Message);
            Assert.Throws<OperatorException>(() => world.Engine.TakeTurn(World.Shop, "bob"));
        }
        Assert.Equal(Outcome.Live, (await world.DeployAsync("v1.3.0"))!.Outcome);
    }

    [Fact]
    public async Task What_an_earlier_life_of_the_agent_left_is_not_cancelled_but_recovered()
    {
        using World world = await LiveAsync("v1.1.0");
        await world.LeaveAtAsync("v1.2.0", Step.Restart);
        Assert.Null(world.Engine.Find("shop-2").Outcome);
        using World later = world.After(Loss.AgentKilled);
        OperatorException refused = await RefusedAsync(ExitCode.Refused, () => later.Engine.CancelAsync("shop-2", "ann", Cancel));
        Assert.Equal("shop-2 is about to end", refused.Message);
        Assert.True(await later.RecoverAsync());
        Assert.Equal(Outcome.RolledBack, later.Engine.Find("shop-2").Outcome);
        later.AssertConsistent("stopped in the restart");
    }

    [Theory]
    [InlineData("user shop", "Refused")]           // the prepare does not heed it, so the flip is not begun
    [InlineData("hook after-gate", "RolledBack")]  // the gate has passed, so it is not committed
    public async Task A_wish_to_go_back_that_comes_at_the_end_of_a_step_is_heeded_before_the_next(string moment, string outcome)
    {
        using World world = World.New(rich: moment.StartsWith("hook", StringComparison.Ordinal));   // else only the prepare asks for a user
        await world.DeployAsync("v1.1.0");
        Task<Deployment>? cancelling = null;
        world.System.Asked = what => cancelling ??= what == moment ? world.Engine.CancelAsync("shop-2", "ann", Cancel) : null;
        Deployment ended = (await world.DeployAsync("v1.2.0"))!;
        await cancelling!;
        Assert.Equal((outcome, "cancelled by ann"), (ended.Outcome.ToString(), ended.Cause));
        Assert.True(ended.Records.OfType<JournalRecord.StepFailed>().Single() is { Blame: false, Remedy: "" });
        Assert.Empty(world.Engine.State(World.Shop).Quarantined);
        world.AssertConsistent(moment);
    }

    [Fact]
    public async Task What_goes_back_already_is_not_cancelled_again()
    {
        using World world = await LiveAsync("v1.1.0");
        Deployment started = await world.StartToAsync("v1.2.6", Step.Gate);
        await world.StopAtAsync(Step.Restart);   // of the old release
        OperatorException refused = await RefusedAsync(ExitCode.Refused, () => world.Engine.CancelAsync(started.Id, "ann", Cancel));
        Assert.Equal("shop-2 goes back already", refused.Message);
        Assert.Equal("look at it: agentctl watch shop-2", refused.Remedy);
        world.GoOn();
        await world.Engine.IdleAsync();
        Assert.Equal(Outcome.RolledBack, world.Engine.Find(started.Id).Outcome);
    }

    [Fact]
    public async Task A_track_that_cannot_be_read_does_not_stop_a_person()
    {
        using World world = await LiveAsync("v1.1.0");
        world.Configuration.Follows = true;
        world.Source.Unread = new OperatorException(ExitCode.Unreachable, "the store is away", "");
        Assert.Equal(Outcome.Live, (await world.DeployAsync("v1.2.0"))!.Outcome);
        Assert.Null(world.Engine.State(World.Shop).PassedOver);
    }

    [Fact]
    public async Task What_runs_is_deployed_again_where_its_units_do_not_run()
    {
        using World world = await LiveAsync("v1.1.0");
        world.System.Running.Clear();
        Deployment again = (await world.DeployAsync("v1.1.0"))!;
        Assert.Equal(("shop-2", Outcome.Live), (again.Id, again.Outcome));
        world.System.Running.Clear();
        Assert.Equal("shop-2", (await world.DeployAsync("v1.1.0", Trigger.Track))!.Id);   // a service that died is no reason for tracking
    }

    [Fact]
    public async Task An_unquarantine_takes_that_version_alone()
    {
        using World world = await LiveAsync("v1.1.0");
        await world.DeployAsync("v1.2.6");
        await world.DeployAsync("v1.3.6");
        world.Engine.Unquarantine(World.Shop, new ReleaseVersion("v1.2.6"), "ann", "the disk was full");
        Assert.Equal("v1.3.6", Assert.Single(world.Engine.State(World.Shop).Quarantined.Values).Release.Version);
        OperatorException refused = Assert.Throws<OperatorException>(() => world.Engine.Unquarantine(World.Shop, new ReleaseVersion("v1.2.6"), "ann", ""));
        Assert.Equal((ExitCode.Refused, "shop v1.2.6 is not quarantined on this host", "see what is: agentctl status --app shop"), (refused.Code, refused.Message, refused.Remedy));
    }

    [Fact]
    public async Task Releases_tell_what_runs_what_is_bad_and_what_goes()
    {
        using World world = await LiveAsync("v1.0.0", "v1.1.0", "v1.2.0");
        world.Configuration.Keep = 1;
        InstalledRelease[] releases = [.. world.Engine.Releases(World.Shop)];
        Assert.Equal(["v1.2.0", "v1.1.0", "v1.0.0"], releases.Select(release => release.Release.Version));
        Assert.Equal(["runs", "last good", null], releases.Select(release => release.KeptBecause));
        Assert.Equal([null, null, "a newer good one is kept"], releases.Select(release => release.GoesBecause));
        Assert.Equal([true, false, false], releases.Select(release => release.Current));
        Assert.All(releases, release => Assert.True(release is { Proved: not null, Quarantined: false, Size: > 0 }));
        (world.Configuration.Keep, world.Configuration.KeepFree) = (3, 5_000_000);
        Assert.Equal(["runs", "last good", "good, 2 of 3 kept, unless less than 5 MB are free"], world.Engine.Releases(World.Shop).Select(release => release.KeptBecause));
    }

    [Fact]
    public async Task What_runs_is_known_by_its_generation()
    {
        using World world = World.New();
        Assert.Null(world.Engine.Running(World.Shop));
        await world.DeployAsync("v1.1.0");
        Assert.Equal("v1.1.0", world.Engine.Running(World.Shop)!.Environment["FOR"]);
    }

    [Fact]
    public async Task Only_what_ran_is_compared()
    {
        using World world = World.New();
        await world.DeployAsync("v1.1.5");
        OperatorException refused = Assert.Throws<OperatorException>(() => world.Engine.Diff(World.Shop, "shop-1", null));
        Assert.Equal((ExitCode.Refused, "nothing of shop has run on this host", "see what has: agentctl history --app shop"), (refused.Code, refused.Message, refused.Remedy));
        await world.DeployAsync("v1.2.0");
        refused = Assert.Throws<OperatorException>(() => world.Engine.Diff(World.Shop, null, null));
        Assert.Equal("only one release of shop has run on this host", refused.Message);
        refused = Assert.Throws<OperatorException>(() => world.Engine.Diff(World.Shop, "v9", null));
        Assert.Equal((ExitCode.Usage, "there is no version or deployment 'v9' of shop on this host", "see what is: agentctl releases --app shop"), (refused.Code, refused.Message, refused.Remedy));
        Assert.Null(world.Engine.RunningYaml(World.Shop));   // it has none
        refused = Assert.Throws<OperatorException>(() => world.Engine.Diff(World.Shop, "v1.1.5", null));
        Assert.Equal("what shop-1 made is not on this host any more", refused.Message);
        Assert.Empty(world.Engine.Diff(World.Shop, "shop-2", "v1.2.0").Files);
        await world.DeployAsync("v1.3.0");
        GenerationDifference back = world.Engine.Diff(World.Shop, "v1.3.0", "v1.2.0");
        Assert.Equal(("v1.3.0 (shop-3)", "v1.2.0 (shop-2)"), (back.A, back.B));
    }

    [Fact]
    public void What_is_not_there_is_told_with_what_is()
    {
        using World world = World.New();
        OperatorException refused = Assert.Throws<OperatorException>(() => world.Engine.Find("shop-9"));
        Assert.Equal((ExitCode.Usage, "there is no deployment 'shop-9' on this host", "list them with 'agentctl history'"), (refused.Code, refused.Message, refused.Remedy));
        refused = Assert.Throws<OperatorException>(() => world.Engine.Pin(World.Shop, null, "ann", ""));
        Assert.Equal(
            (ExitCode.Refused, "nothing of shop runs here that it could be pinned to", "name a version: agentctl pin VERSION --app shop"), (refused.Code, refused.Message, refused.Remedy));
    }

    [Fact]
    public async Task What_runs_is_deployed_again_where_its_settings_are_wrong_by_now_so_that_it_is_told()
    {
        using World world = await LiveAsync("v1.1.0");
        world.Configuration.Change = _ => throw new OperatorException(ExitCode.Refused, "apps.d/shop.yaml is wrong", "correct it");
        Deployment again = (await world.DeployAsync("v1.1.0"))!;
        Assert.Equal(("shop-2", Outcome.Refused, "apps.d/shop.yaml is wrong"), (again.Id, again.Outcome, again.Cause));
    }

    private static DeploymentRequest WhatIsFollowed(DeploymentRequest request) => request with { Wanted = null };

    private static DeploymentRequest Back(string? version) =>
        new(World.Shop, version is null ? null : new Track.Exactly(new ReleaseVersion(version)), Trigger.Rollback, "ann", Force: false);

    private static async Task<OperatorException> RefusedAsync(ExitCode code, Func<Task> ask)
    {
        var refused = await Assert.ThrowsAsync<OperatorException>(ask);
        Assert.Equal(code, refused.Code);
        return refused;
    }

    private static async Task<World> LiveAsync(params string[] versions)
    {
        World world = World.New();
        foreach (string version in versions) Assert.Equal(Outcome.Live, (await world.DeployAsync(version))!.Outcome);
        return world;
    }
}
