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
    public void What_is_its_own_is_written_again()
    {
        generations.Prepare("shop-1", V1, Definition(Rendered), null);
        generations.Install(World.Shop, null, generations.Load(World.Shop, "shop-1"));
        generations.Prepare("shop-2", V1, Definition(Rendered), null);
        disk.WriteAtomic(SimulatedSystem.Units + "/blog.service", "# Written by agentd for blog; changes here are lost.");
        var blogs = new UnitSource.Rendered(new UnitName("blog.service"), "bin/shop", null);
        Assert.Throws<OperatorException>(() => generations.Prepare("shop-3", V1, Definition(blogs), null));
    }

    [Fact]
    public void A_masked_unit_is_somebody_elses()
    {
        disk.MakeLink(SimulatedSystem.Units + "/shop.service", "/dev/null");
        var refused = Assert.Throws<OperatorException>(() => generations.Prepare("shop-1", V1, Definition(Rendered), null));
        Assert.Contains("systemctl unmask shop.service", refused.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void A_shipped_unit_comes_from_the_release_with_a_drop_in_and_must_be_there()
    {
        var shipped = new UnitSource.Shipped(new UnitName("shop.service"), "units/shop.service");
        var refused = Assert.Throws<OperatorException>(() => generations.Prepare("shop-1", V1, Definition(shipped), null));
        Assert.Equal((ExitCode.Refused, "shop v1.0.0 names the unit units/shop.service but holds no such file"), (refused.Code, refused.Message));
        disk.MakeDirectories("/srv/shop/releases/v1.0.0/units");
        disk.WriteAtomic("/srv/shop/releases/v1.0.0/units/shop.service", "[Service]\nExecStart=/bin/shipped\n");
        generations.Prepare("shop-1", V1, Definition(shipped), null);
        Assert.Contains("ExecStart=/bin/shipped", generations.Texts(World.Shop, "shop-1")["shop.service"], StringComparison.Ordinal);
        Assert.Contains("EnvironmentFile=", generations.Texts(World.Shop, "shop-1")["shop.service.d/10-agentd.conf"], StringComparison.Ordinal);
        generations.Install(World.Shop, null, generations.Load(World.Shop, "shop-1"));
        generations.Install(World.Shop, generations.Load(World.Shop, "shop-1"), null);
        Assert.Empty(disk.List(SimulatedSystem.Units));
    }

    [Fact]
    public void A_shipped_timer_gets_no_drop_in()
    {
        disk.MakeDirectories("/srv/shop/releases/v1.0.0");
        disk.WriteAtomic("/srv/shop/releases/v1.0.0/shop.timer", "[Timer]\nOnCalendar=daily\n");
        generations.Prepare("shop-1", V1, Definition(new UnitSource.Shipped(new UnitName("shop.timer"), "shop.timer")), null);
        Assert.Equal(["shop.timer"], generations.Texts(World.Shop, "shop-1").Keys);
    }

    [Fact]
    public void An_operators_unit_that_systemd_finds_already_stays_where_it_is()
    {
        var own = new UnitSource.Operators(new UnitName("shop.service"), SimulatedSystem.Units + "/shop.service");
        disk.WriteAtomic(own.Path, "[Service]\nExecStart=/bin/own\n");
        generations.Prepare("shop-1", V1, Definition(own), null);
        generations.Prepare("shop-2", V1, Definition(own), "shop-1");
        Assert.Equal(["shop.service.d/10-agentd.conf"], generations.Texts(World.Shop, "shop-2").Keys);
    }

    [Fact]
    public void An_operators_unit_that_is_gone_is_missed_and_one_that_an_earlier_generation_did_not_have_is_todays()
    {
        var own = new UnitSource.Operators(new UnitName("shop.service"), "/etc/agentd/units/shop.service");
        var refused = Assert.Throws<OperatorException>(() => generations.Prepare("shop-1", V1, Definition(own), null));
        Assert.Equal((ExitCode.Refused, "the unit /etc/agentd/units/shop.service of shop is missing"), (refused.Code, refused.Message));
        generations.Prepare("shop-1", V1, Definition(Timer), null);
        disk.WriteAtomic(own.Path, "[Service]\nExecStart=/bin/now\n");
        generations.Prepare("shop-2", V1, Definition(own), "shop-1");
        Assert.Contains("ExecStart=/bin/now", generations.Texts(World.Shop, "shop-2")["shop.service"], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"flip\"", "Flip")]
    [InlineData("\"backup\"", "Backup")]
    [InlineData("\"contract\"", "Contract")]
    [InlineData("0", "Fetch")]      // as the version before backup, migrate and contract wrote it
    [InlineData("3", "Flip")]
    [InlineData("6", "Sweep")]
    [InlineData("7", null)]
    [InlineData("-1", null)]
    [InlineData("\"fly\"", null)]
    public void A_hooks_step_is_read_as_this_version_and_the_one_before_wrote_it(string written, string? step)
    {
        AppDefinition definition = Definition(Rendered) with { Hooks = [new HookOptions("one", Step.Gate, Before: true, "bin/hook", null, TimeSpan.FromSeconds(9), null, MayFail: false)] };
        generations.Prepare("shop-1", V1, definition, null);
        const string path = "/var/lib/agentd/generations/shop/shop-1/generation.json";
        string text = disk.ReadText(path);
        Assert.Contains("\"step\": \"gate\"", text, StringComparison.Ordinal);
        disk.WriteAtomic(path, text.Replace("\"step\": \"gate\"", $"\"step\": {written}", StringComparison.Ordinal));
        if (step is null) Assert.Throws<System.Text.Json.JsonException>(() => generations.Load(World.Shop, "shop-1"));
        else Assert.Equal(Enum.Parse<Step>(step), Assert.Single(generations.Load(World.Shop, "shop-1").Definition.Hooks!).Step);
    }

    [Fact]
    public void Where_units_are_installed_among_the_systems_own_those_of_the_app_are_no_strangers()
    {
        disk.MakeDirectories("/srv");
        var among = new Generations(disk, "/var/lib/agentd", "/usr/lib/systemd/system", new InstalledReleases(disk, "/srv"));
        among.Install(World.Shop, null, among.Prepare("shop-1", V1, Definition(Rendered), null));
        among.Install(World.Shop, null, among.Prepare("shop-2", V1, Definition(Rendered), null));
        Assert.Contains("shop-2", disk.ReadText("/usr/lib/systemd/system/shop.service"), StringComparison.Ordinal);
    }

    [Fact]
    public void A_generation_that_says_nothing_is_an_error_and_not_guessed_at()
    {
        generations.Prepare("shop-1", V1, Definition(Rendered), null);
        disk.WriteAtomic("/var/lib/agentd/generations/shop/shop-1/generation.json", "null");
        Assert.Throws<InvalidDataException>(() => generations.Find(World.Shop, "shop-1"));
    }

    [Fact]
    public void What_is_written_again_unchanged_is_left_alone()
    {
        generations.Prepare("shop-1", V1, Definition(Rendered), null);
        generations.Install(World.Shop, null, generations.Load(World.Shop, "shop-1"));
        disk.Fault = new IOException("read-only");
        generations.Install(World.Shop, null, generations.Load(World.Shop, "shop-1"));
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
