using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Configuration;
using Agent.Daemon.Releases;
using Agent.Daemon.State;
using Agent.Tests.Fakes;

namespace Agent.Tests.Releases;

public class GenerationsTests
{
    private static readonly ReleaseRef V1 = new("v1.0.0", "");

    private readonly SimulatedDisk disk = new(new Fuse(int.MaxValue));
    private readonly Generations generations;

    public GenerationsTests()
    {
        disk.MakeDirectories(SimulatedSystem.Units);
        disk.MakeDirectories("/usr/lib/systemd/system");
        disk.MakeDirectories("/etc/agentd/units");
        disk.MakeDirectories("/srv");
        generations = new Generations(disk, "/var/lib/agentd", SimulatedSystem.Units, new InstalledReleases(disk, "/srv"));
    }

    [Theory]
    [InlineData("/usr/lib/systemd/system/shop.service", "/usr/lib/systemd/system/shop.service is a unit of this system")]
    [InlineData("/etc/systemd/system/shop.service", "/etc/systemd/system/shop.service exists and is not shop's")]
    public void Never_takes_the_place_of_somebody_elses_unit(string path, string told)
    {
        disk.WriteAtomic(path, "[Service]\n");
        var refused = Assert.Throws<OperatorException>(() => generations.Prepare("shop-1", V1, Definition(Rendered), null));
        Assert.Equal((ExitCode.Refused, told), (refused.Code, refused.Message));
    }

    [Fact]
    public void An_operators_unit_is_restored_as_it_was_then()
    {
        var own = new UnitSource.Operators(new UnitName("shop.service"), "/etc/agentd/units/shop.service");
        disk.WriteAtomic(own.Path, "[Service]\nExecStart=/bin/then\n");
        generations.Prepare("shop-1", V1, Definition(own), null);
        disk.WriteAtomic(own.Path, "[Service]\nExecStart=/bin/now\n");
        generations.Prepare("shop-2", V1, Definition(own), "shop-1");
        Assert.Contains("ExecStart=/bin/then", generations.Texts(World.Shop, "shop-2")["shop.service"], StringComparison.Ordinal);
        generations.Prepare("shop-3", V1, Definition(own), null);
        Assert.Contains("ExecStart=/bin/now", generations.Texts(World.Shop, "shop-3")["shop.service"], StringComparison.Ordinal);
    }

    [Fact]
    public void What_one_generation_brought_goes_with_it_and_an_operators_drop_in_stays()
    {
        generations.Prepare("shop-1", V1, Definition(Rendered, Timer), null);
        generations.Prepare("shop-2", V1, Definition(Rendered), null);
        generations.Install(World.Shop, null, generations.Load(World.Shop, "shop-1"));
        Assert.Equal(["shop-nightly.service", "shop-nightly.timer", "shop.service"], disk.List(SimulatedSystem.Units).Order());
        disk.MakeDirectories(SimulatedSystem.Units + "/shop.service.d");
        disk.WriteAtomic(SimulatedSystem.Units + "/shop.service.d/mine.conf", "[Service]\n");
        generations.Install(World.Shop, generations.Load(World.Shop, "shop-1"), generations.Load(World.Shop, "shop-2"));
        Assert.Equal(["shop.service", "shop.service.d"], disk.List(SimulatedSystem.Units).Order());
        Assert.Contains("/generations/shop/shop-2/environment", disk.ReadText(SimulatedSystem.Units + "/shop.service"), StringComparison.Ordinal);
        generations.Install(World.Shop, generations.Load(World.Shop, "shop-2"), null);
        Assert.Equal(["mine.conf"], disk.List(SimulatedSystem.Units + "/shop.service.d"));
        Assert.Null(generations.Find(World.Shop, "shop-9"));
    }

    [Fact]
    public void Runs_as_tells_settings_apart()
    {
        Generation generation = generations.Prepare("shop-1", V1, Definition(Rendered), null);
        Generation loaded = generations.Load(World.Shop, "shop-1");
        Assert.True(loaded.RunsAs(generation.Definition));
        Assert.False(loaded.RunsAs(generation.Definition with { Watch = TimeSpan.FromSeconds(3) }));
        Assert.False(loaded.RunsAs(Definition(Rendered, Timer)));
    }

    private static UnitSource.Rendered Rendered => new(new UnitName("shop.service"), "bin/shop", null) { Memory = 1 << 20, Stop = TimeSpan.FromSeconds(5), Allow = ["home"] };

    private static UnitSource.Rendered Timer => new(new UnitName("shop-nightly.timer"), "bin/report", null) { Schedule = "daily" };

    private static AppDefinition Definition(params UnitSource[] units) => new(
        World.Shop, new Dictionary<string, string> { ["B"] = "2", ["A"] = "1" }, units,
        [new CheckOptions.Http("http /up", new Uri("http://127.0.0.1:80/up"), null, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1), 1, 3)],
        new GateOptions(TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(1)));
}
