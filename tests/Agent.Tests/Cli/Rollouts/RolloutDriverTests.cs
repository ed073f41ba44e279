using Agent.Cli.Rollouts;
using Agent.Tests.Fakes;
using Agent.V1;
using Google.Protobuf.WellKnownTypes;
using RolloutState = Agent.V1.Rollout.Types.State;

namespace Agent.Tests.Cli.Rollouts;

/// <summary>Whoever drives may die, be cut off or be succeeded at any moment; hosts deploy once all the same.</summary>
public class RolloutDriverTests
{
    private const string Id = "r20260101-0000-aaaaaa";

    private static readonly RolloutTiming timing = new()
    {
        Patience = TimeSpan.FromSeconds(10),
        FirstPause = TimeSpan.FromSeconds(0.5),
        LongestPause = TimeSpan.FromSeconds(1),
        Look = TimeSpan.FromSeconds(1),
        Answer = TimeSpan.FromMinutes(2),
    };

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task All_hosts_get_their_turns_batch_by_batch()
    {
        var fleet = new FakeFleet("a", "b", "c", "d", "e");
        var told = new List<string>();
        RolloutEnd end = await BeginAsync(fleet, FakeFleet.Plan("a", "b c", "d e"), told);
        Assert.Equal((0, RolloutState.Finished, null), (end.Progress.ExitStatus(), end.Rollout.State, end.Newer));
        Assert.All(fleet.All, machine => Assert.Equal(("v2.0.0", RolloutState.Finished, 2), (machine.Version, machine.Known!.State, machine.Known.Revision)));
        Assert.Equal(["1: a", "2: b c", "3: d e"], told.Where(line => line.Contains(':', StringComparison.Ordinal)));
    }

    [Fact]
    public async Task The_first_failure_stops_it_and_what_is_left_can_be_gone_on_with()
    {
        var fleet = new FakeFleet("a", "b", "c");
        fleet["b"].Outcome = Outcome.RolledBack;
        RolloutEnd end = await BeginAsync(fleet, FakeFleet.Plan("a", "b", "c"));
        Assert.Equal((1, RolloutState.Paused, "b rolled back"), (end.Progress.ExitStatus(), end.Rollout.State, end.Rollout.Reason));
        Assert.Equal([1, 1, 0], fleet.Turns(Id));
        end = await TakeOverAsync(fleet, maxFailures: 2);
        Assert.Equal((1, RolloutState.Finished), (end.Progress.ExitStatus(), end.Rollout.State));
        Assert.Equal([1, 1, 1], fleet.Turns(Id));
    }

    [Fact]
    public async Task Where_that_is_wanted_all_that_took_the_version_go_back()
    {
        var fleet = new FakeFleet("a", "b", "c", "d");
        fleet["b"].Version = "v1.5.0";
        fleet["c"].Outcome = Outcome.RolledBack;
        RolloutPlan plan = FakeFleet.Plan("a", "b", "c", "d");
        plan.RollbackAll = true;
        RolloutEnd end = await BeginAsync(fleet, plan);
        Assert.Equal((1, RolloutState.Finished, "rolled back: c rolled back"), (end.Progress.ExitStatus(), end.Rollout.State, end.Rollout.Reason));
        Assert.Equal(["v1.0.0", "v1.5.0", "v1.0.0", "v1.0.0"], fleet.All.Select(machine => machine.Version));
        Assert.Equal([1, 1, 0, 0], fleet.Turns(Id + "-back"));
    }

    [Fact]
    public async Task A_canary_that_does_not_stay_healthy_stops_it()
    {
        var fleet = new FakeFleet("a", "b");
        fleet["a"].Ailment = "http /up: 500";
        RolloutPlan plan = FakeFleet.Plan("a", "b");
        plan.Soak = Duration.FromTimeSpan(TimeSpan.FromMinutes(1));
        RolloutEnd end = await BeginAsync(fleet, plan);
        Assert.Equal((1, Stand.Unhealthy, Stand.Waiting), (end.Progress.ExitStatus(), end.Progress.Stands["a"], end.Progress.Stands["b"]));
        fleet = new FakeFleet("a", "b");
        end = await BeginAsync(fleet, plan);
        Assert.Equal(0, end.Progress.ExitStatus());
    }

    [Fact]
    public async Task Lost_answers_are_asked_for_again_and_no_host_deploys_twice()
    {
        var fleet = new FakeFleet("a", "b");
        fleet["a"].AnswersLost = 4;
        var told = new List<string>();
        RolloutEnd end = await BeginAsync(fleet, FakeFleet.Plan("a", "b"), told);
        Assert.Equal(0, end.Progress.ExitStatus());
        Assert.Equal([1, 1], fleet.Turns(Id));
        Assert.Equal(4, told.Count(line => line == "a lost"));
    }

    [Fact]
    public async Task A_host_that_stays_lost_is_unreachable_and_not_failed()
    {
        var fleet = new FakeFleet("a", "b");
        fleet["a"].AnswersLost = int.MaxValue;
        RolloutEnd end = await BeginAsync(fleet, FakeFleet.Plan("a", "b"));
        Assert.Equal((4, Stand.Unreachable, RolloutState.Paused), (end.Progress.ExitStatus(), end.Progress.Stands["a"], end.Rollout.State));
        Assert.Equal([1, 0], fleet.Turns(Id));
        fleet["a"].AnswersLost = 0;
        end = await TakeOverAsync(fleet);
        Assert.Equal((0, RolloutState.Finished), (end.Progress.ExitStatus(), end.Rollout.State));
        Assert.Equal([1, 1], fleet.Turns(Id));
    }

    [Fact]
    public async Task A_pause_on_any_host_reaches_whoever_drives()
    {
        var fleet = new FakeFleet("a", "b", "c");
        var gate = new TaskCompletionSource();
        fleet["a"].Gate = gate.Task;
        Task<RolloutEnd> driving = BeginAsync(fleet, FakeFleet.Plan("a", "b", "c"));
        await fleet["a"].Begun.Task;
        Rollout paused = fleet["c"].Known!.Clone();
        (paused.Revision, paused.State, paused.Driver) = (2, RolloutState.Paused, "bob@desk");
        fleet["c"].Known = paused;
        gate.SetResult();
        RolloutEnd end = await driving;
        Assert.Equal(("bob@desk", 130), (end.Newer?.Driver, end.Progress.ExitStatus()));
        Assert.Equal([1, 0, 0], fleet.Turns(Id));
    }

    [Fact]
    public async Task A_pause_while_a_canary_soaks_is_not_seen_at_the_end_of_it_only()
    {
        var fleet = new FakeFleet("a", "b");
        RolloutPlan plan = FakeFleet.Plan("a", "b");
        plan.Soak = Duration.FromTimeSpan(TimeSpan.FromHours(1));
        fleet["a"].Looked = () =>
        {
            if (fleet["a"].Looks != 3) return;
            Rollout paused = fleet["b"].Known!.Clone();
            (paused.Revision, paused.State, paused.Driver) = (2, RolloutState.Paused, "bob@desk");
            fleet["b"].Known = paused;
        };
        RolloutEnd end = await BeginAsync(fleet, plan);
        Assert.Equal(("bob@desk", 3), (end.Newer?.Driver, fleet["a"].Looks));
        Assert.Equal([1, 0], fleet.Turns(Id));
    }

    [Fact]
    public async Task Whoever_is_succeeded_starts_nothing_more()
    {
        var fleet = new FakeFleet("a", "b", "c");
        var gate = new TaskCompletionSource();
        fleet["a"].Gate = gate.Task;
        Task<RolloutEnd> first = BeginAsync(fleet, FakeFleet.Plan("a", "b", "c"));
        await fleet["a"].Begun.Task;
        Task<RolloutEnd> second = TakeOverAsync(fleet);
        await Protos.Eventually.HoldsAsync(() => fleet["c"].Known!.Driver == "bob@desk");
        gate.SetResult();
        Assert.Equal("bob@desk", (await first).Newer?.Driver);
        Assert.Equal(0, (await second).Progress.ExitStatus());
        Assert.Equal([1, 1, 1], fleet.Turns(Id));
    }

    [Theory]
    [InlineData("Stop", 130, "v2.0.0 v1.0.0")]
    [InlineData("GoBack", 1, "v1.0.0 v1.0.0")]
    [InlineData("", 130, "v1.0.0 v1.0.0")]
    public async Task A_person_stops_it_goes_back_or_leaves_it(string wish, int exit, string versions)
    {
        var fleet = new FakeFleet("a", "b");
        var gate = new TaskCompletionSource();
        fleet["a"].Gate = gate.Task;
        using RolloutHosts hosts = fleet.Connect(timing, new InstantTime(1));
        using var driver = new RolloutDriver(hosts, "ann@laptop", timing, new InstantTime(1), _ => { });
        Task<RolloutEnd> driving = driver.BeginAsync(FakeFleet.Rollout(Id, FakeFleet.Plan("a", "b")), Cancel);
        await fleet["a"].Begun.Task;
        driver.Wish(wish.Length > 0 ? System.Enum.Parse<Will>(wish) : null, "lunch");
        if (wish.Length > 0) gate.SetResult();
        RolloutEnd end = await driving;
        Assert.Equal((exit, wish.Length == 0, versions), (end.Progress.ExitStatus(), end.Detached, string.Join(' ', fleet.All.Select(machine => machine.Version))));
        Assert.Equal(wish switch { "Stop" => RolloutState.Paused, "GoBack" => RolloutState.Finished, _ => RolloutState.Running }, fleet["b"].Known!.State);
        gate.TrySetResult();
    }

    /// <summary>The driver dies at each call that it makes and each answer that it gets, and somebody else takes over.</summary>
    [Theory]
    [InlineData("all live", "Live")]
    [InlineData("one fails", "RolledBack")]
    [InlineData("one fails, all go back", "RolledBack")]
    [InlineData("answers are lost", "Live")]
    public async Task Wherever_the_driver_dies_another_ends_it_and_no_host_deploys_twice(string story, string third)
    {
        int deaths = 0;
        for (int cut = 0; ; cut++)
        {
            var fleet = new FakeFleet("a", "b", "c", "d") { DiesAfter = cut };
            fleet["c"].Outcome = System.Enum.Parse<Outcome>(third);
            if (story == "answers are lost") foreach (FakeFleet.Machine machine in fleet.All) machine.AnswersLost = 1;
            RolloutPlan plan = FakeFleet.Plan("a", "b c", "d");
            plan.RollbackAll = story.EndsWith("go back", StringComparison.Ordinal);
            RolloutEnd? end = null;
            try
            {
                end = await BeginAsync(fleet, plan);
            }
            catch (Exception) when (fleet.Died)
            {
                deaths++;
            }
            bool died = fleet.Died;
            fleet.DiesAfter = int.MaxValue;
            Rollout? known = Newest(fleet);
            if (died && known is { State: RolloutState.Running or RolloutState.RollingBack }) end = await TakeOverAsync(fleet);
            string where = $"{story}, cut {cut}";
            Assert.True(fleet.Turns(Id).All(count => count <= 1) && fleet.Turns(Id + "-back").All(count => count <= 1), $"{where}: a host had two turns");
            if (known is null)
            {
                Assert.All(fleet.Turns(Id), count => Assert.Equal(0, count));
                continue;
            }
            string versions = string.Join(' ', fleet.All.Select(machine => machine.Version));
            string expected = third == "Live" ? "v2.0.0 v2.0.0 v2.0.0 v2.0.0" : plan.RollbackAll ? "v1.0.0 v1.0.0 v1.0.0 v1.0.0" : "v2.0.0 v2.0.0 v1.0.0 v1.0.0";
            Assert.True(versions == expected, $"{where}: {versions}");
            if (end is not null) Assert.True(end.Progress.ExitStatus() == (third == "Live" ? 0 : 1), $"{where}: exit {end.Progress.ExitStatus()}");
            if (!died) break;
        }
        Assert.True(deaths > 30, $"only {deaths} deaths");
    }

    private static Rollout? Newest(FakeFleet fleet) => fleet.All.Select(machine => machine.Known).Where(known => known is not null).MaxBy(known => known!.Revision);

    private static async Task<RolloutEnd> BeginAsync(FakeFleet fleet, RolloutPlan plan, List<string>? told = null)
    {
        var time = new InstantTime(1);
        using RolloutHosts hosts = fleet.Connect(timing, time);
        using var driver = new RolloutDriver(hosts, "ann@laptop", timing, time, report =>
        {
            if (report is RolloutReport.Began began) told?.Add($"{began.Batch}: {string.Join(' ', began.Hosts)}");
            if (report is RolloutReport.Lost lost) told?.Add($"{lost.Host} lost");
        });
        return await driver.BeginAsync(FakeFleet.Rollout(Id, plan), Cancel);
    }

    private static async Task<RolloutEnd> TakeOverAsync(FakeFleet fleet, int? maxFailures = null)
    {
        var time = new InstantTime(1);
        Rollout known = Newest(fleet)!;
        using RolloutHosts hosts = fleet.Connect(timing, time);
        using var driver = new RolloutDriver(hosts, "bob@desk", timing, time, _ => { });
        return await driver.TakeOverAsync(known, known.State == RolloutState.RollingBack ? Will.GoBack : Will.GoOn, "taken over", maxFailures, skipUnreachable: false, Cancel);
    }
}
