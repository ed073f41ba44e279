using Agent.Artifacts.Durable;
using Agent.Daemon.Deployments;
using Agent.Daemon.State;
using Agent.Tests.Fakes;
using static Agent.Tests.Deployments.EngineRoom;

namespace Agent.Tests.Deployments;

/// <summary>What is kept of a failure: bounded, clean of secrets, and never in the way.</summary>
public class EvidenceCollectorTests
{
    private readonly EngineRoom room = new();
    private readonly ReleaseRef first, second;

    public EvidenceCollectorTests()
    {
        (first, second) = (room.Install("v1.0.0"), room.Install("v2.0.0"));
        room.Configuration.For = "v1.0.0";
        room.Generations.Prepare("shop-1", first, room.Define(Service("shop.service")), null);
        room.Configuration.For = "v2.0.0";
        room.Generations.Prepare("shop-2", second, room.Define(Service("shop.service"), Service("shop-worker.service")), null);
    }

    private Deployment Failing => Deploying(second, first);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Units_checks_changes_and_room_are_kept_with_the_step()
    {
        room.Disk.Free = 4711;
        room.Disk.MakeDirectories("/proc");
        room.Disk.WriteFile("/proc/meminfo", DurableOperations.Mode644, stream => stream.Write("MemTotal:  99 kB\nMemAvailable:    2048 kB\nX: 1 kB\n"u8));
        room.Supervisor.State = unit => RecordingSupervisor.Active(unit) with { ActiveState = "failed", SubState = "failed", Result = "signal", ExitKind = "killed", ExitCode = 9, Restarts = 3 };
        DeploymentWork work = room.Work();
        work.Redactor = new Redactor(["s3cret"]);
        work.Hooks.Add(new HookEvidence("warm", "", ["before the secret was known: s3cret"]));
        Evidence seen = await CollectAsync(work, new CheckAnswer("up", false, "s3cret is wrong"));
        Assert.Equal(("gate", 4711, 2048 * 1024), (seen.Step, seen.DiskFree, seen.MemoryAvailable));
        Assert.Equal(new CheckEvidence("up", false, "[secret] is wrong"), Assert.Single(seen.Checks));
        Assert.Equal([new UnitEvidence("shop.service", "failed", "failed", "signal", "killed", 9, 3), new UnitEvidence("shop-worker.service", "failed", "failed", "signal", "killed", 9, 3)], seen.Units);
        Assert.Equal("before the secret was known: [secret]", seen.Hooks[0].Output[0]);
        Assert.Contains("environment changed: FOR: v1.0.0 -> v2.0.0", seen.Changed);
        Assert.Null(seen.OldChecks);
    }

    [Fact]
    public async Task Of_the_log_the_last_hundred_lines_since_the_beginning_are_kept_in_their_order_cut_and_clean()
    {
        room.Supervisor.Lines =
        [
            Line("shop.service", -1, "from before"), Line("shop.service", 0, new string('x', 1000)), Line("shop.service", 2, new string('y', 1001)), Line("shop-worker.service", 1, "key is s3cret"),
        ];
        DeploymentWork work = room.Work();
        work.Redactor = new Redactor(["s3cret"]);
        Evidence seen = await CollectAsync(work);
        Assert.Equal([new string('x', 1000), "key is [secret]", new string('y', 1000) + "..."], seen.Log.Select(line => line.Message));
        room.Supervisor.Lines = [.. Enumerable.Range(0, 90).SelectMany(n => new[] { Line("shop.service", n, $"web {n}"), Line("shop-worker.service", n, $"worker {n}") })];
        seen = await CollectAsync(work);
        Assert.Equal(100, seen.Log.Count);
        Assert.Equal(["web 40", "worker 89"], [seen.Log[0].Message, seen.Log[^1].Message]);
    }

    [Fact]
    public async Task A_unit_that_cannot_be_looked_at_is_unknown_and_the_others_are_seen()
    {
        room.Supervisor.State = unit => unit.Value == "shop.service" ? throw new InvalidOperationException("no bus") : RecordingSupervisor.Active(unit);
        Evidence seen = await CollectAsync(room.Work());
        Assert.Equal([("shop.service", "unknown", "no bus"), ("shop-worker.service", "active", "running")], seen.Units.Select(unit => (unit.Name, unit.ActiveState, unit.SubState)));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("MemTotal:  99 kB\n")]
    [InlineData("MemAvailable: much\n")]
    public async Task What_the_kernel_does_not_tell_is_not_known(string? meminfo)
    {
        room.Disk.MakeDirectories("/proc");
        if (meminfo is not null) room.Disk.WriteFile("/proc/meminfo", DurableOperations.Mode644, stream => stream.Write(System.Text.Encoding.UTF8.GetBytes(meminfo)));
        Assert.Equal(-1, (await CollectAsync(room.Work())).MemoryAvailable);
    }

    [Fact]
    public async Task A_first_deployment_and_one_that_was_not_prepared_have_changed_nothing()
    {
        await room.Collector().CollectAsync(Deploying(second), Step.Gate, [], room.Work(), Cancel);
        Assert.Empty(room.Evidence.Read(World.Shop, "shop-2")!.Changed);
        room.Generations.Remove(World.Shop, "shop-2");
        Evidence seen = await CollectAsync(room.Work());
        Assert.Empty(seen.Changed);
        Assert.Empty(seen.Units);
    }

    [Fact]
    public async Task What_cannot_be_compared_any_more_says_so()
    {
        room.Releases.Remove(World.Shop, "v1.0.0");
        Assert.Equal("not known: what shop-1 made is not on this host any more", Assert.Single((await CollectAsync(room.Work())).Changed));
    }

    [Fact]
    public async Task The_old_release_that_does_not_come_back_is_added_to_what_was_seen()
    {
        await CollectAsync(room.Work(), new CheckAnswer("up", false, "500"));
        room.Supervisor.State = unit => RecordingSupervisor.Active(unit) with { ActiveState = "failed" };
        await room.Collector().CollectOldAsync(Failing, [new CheckAnswer("up", false, "refused")], room.Work(), Cancel);
        Evidence seen = room.Evidence.Read(World.Shop, "shop-2")!;
        Assert.Equal(("gate", "500", "refused"), (seen.Step, seen.Checks[0].Detail, seen.OldChecks![0].Detail));
        Assert.Equal(("active", "shop.service", "failed"), (seen.Units[0].ActiveState, Assert.Single(seen.OldUnits!).Name, seen.OldUnits![0].ActiveState));
    }

    [Fact]
    public async Task Where_nothing_was_seen_before_the_old_release_alone_is_kept()
    {
        room.Disk.Free = 5;
        await room.Collector().CollectOldAsync(Failing, [], room.Work(), Cancel);
        Evidence seen = room.Evidence.Read(World.Shop, "shop-2")!;
        Assert.Equal(("", 5), (seen.Step, seen.DiskFree));
        Assert.NotEmpty(seen.Changed);
        Assert.Single(seen.OldUnits!);
        await room.Collector().CollectOldAsync(Deploying(second), [], room.Work(), Cancel);   // nothing ran before
        Assert.Empty(room.Evidence.Read(World.Shop, "shop-2")!.OldUnits!);
    }

    [Fact]
    public async Task A_fault_in_looking_never_holds_the_way_back_up()
    {
        var broken = new DeploymentWork(() => throw new InvalidOperationException(), null!, null!) { Redactor = null! };
        await room.Collector().CollectAsync(Failing, Step.Gate, [new CheckAnswer("up", false, "500")], broken, Cancel);
        Assert.Null(room.Evidence.Read(World.Shop, "shop-2"));
    }

    private async Task<Evidence> CollectAsync(DeploymentWork work, params CheckAnswer[] answers)
    {
        await room.Collector().CollectAsync(Failing, Step.Gate, answers, work, Cancel);
        return room.Evidence.Read(World.Shop, "shop-2")!;
    }

    private static LogEntry Line(string unit, int second, string message) => new(Now.AddSeconds(second), unit, 6, 7, message, "");
}
