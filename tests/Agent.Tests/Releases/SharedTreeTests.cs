using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Releases;
using Agent.Daemon.State;
using Agent.Tests.Fakes;

namespace Agent.Tests.Releases;

/// <summary>What of an app is not the release's own, and how it comes into the release.</summary>
public class SharedTreeTests
{
    private const string Release = "/srv/shop/releases/v1.0.0";

    private static readonly Dictionary<string, string> Values = new() { ["PORT"] = "8080", ["KEY"] = "s3cret" };

    private readonly SimulatedDisk disk = new(new Fuse(int.MaxValue));
    private readonly InstalledReleases releases;
    private readonly SharedTree shared;

    public SharedTreeTests()
    {
        disk.MakeDirectories(Release + "/config");
        releases = new InstalledReleases(disk, "/srv");
        shared = new SharedTree(disk, releases);
    }

    [Fact]
    public void A_shared_directory_is_made_and_linked_and_the_release_stays_as_it_is_the_second_time()
    {
        Prepare(directories: ["log", "var/uploads"]);
        Prepare(directories: ["log", "var/uploads"]);
        Assert.Equal("../../shared/log", disk.ReadLink(Release + "/log"));
        Assert.Equal("../../../shared/var/uploads", disk.ReadLink(Release + "/var/uploads"));
        Assert.Equal(EntryKind.Directory, disk.Kind("/srv/shop/shared/var/uploads"));
    }

    [Fact]
    public void An_empty_directory_of_the_release_gives_way_and_nothing_else_does()
    {
        disk.MakeDirectory(Release + "/log", DurableOperations.Mode755);
        Prepare(directories: ["log"]);
        Assert.Equal(EntryKind.Link, disk.Kind(Release + "/log"));

        Write("/data/one", "kept");
        Assert.Equal($"{Release}/data is in the release, so it cannot be shared or rendered", Refused(directories: ["data"]));
        Write("/file", "kept");
        Refused(directories: ["file/below"]);
    }

    [Fact]
    public void Never_through_a_link_of_the_release_or_of_the_apps_user()
    {
        disk.MakeDirectories("/etc");
        disk.MakeLink(Release + "/out", "/etc");
        Assert.Equal($"{Release}/out is in the release, so it cannot be shared or rendered", Refused(directories: ["out/cron.d"]));
        disk.MakeDirectories("/srv/shop/shared");
        disk.MakeLink("/srv/shop/shared/up", "/etc");
        Assert.Equal("/srv/shop/shared/up is no directory", Refused(directories: ["up/cron.d"]));
        Assert.Empty(disk.List("/etc"));
    }

    [Fact]
    public void A_shared_file_must_be_there()
    {
        Assert.Equal("the shared file /srv/shop/shared/config/local.yml is missing", Refused(files: ["config/local.yml"]));
        disk.MakeDirectories("/srv/shop/shared/config");
        disk.WriteFile("/srv/shop/shared/config/local.yml", DurableOperations.Mode600, _ => { });
        Prepare(files: ["config/local.yml"]);
        Assert.Equal("../../../shared/config/local.yml", disk.ReadLink(Release + "/config/local.yml"));
    }

    [Fact]
    public void A_template_is_filled_for_its_generation_and_the_switch_shows_it()
    {
        Write("/config/app.conf.template", "port=${PORT} key=${KEY}");
        Prepare(templates: ["config/app.conf.template"]);
        Assert.Equal("../../../rendered/current/config/app.conf", disk.ReadLink(Release + "/config/app.conf"));
        Assert.Equal("port=8080 key=s3cret", disk.ReadText("/srv/shop/rendered/shop-1/config/app.conf"));
        shared.Flip(World.Shop, "shop-1");
        Assert.Equal("shop-1", disk.ReadLink("/srv/shop/rendered/current"));
        shared.Flip(World.Shop, "shop-1");   // again, after a crash
        shared.Flip(World.Shop, "shop-0");   // which rendered nothing
        Assert.Equal(EntryKind.Missing, disk.Kind("/srv/shop/rendered/current"));
        shared.RemoveAllBut(World.Shop, ["shop-2"]);
        Assert.Empty(disk.List("/srv/shop/rendered"));
    }

    [Fact]
    public void A_template_that_is_missing_or_names_what_nobody_knows_is_refused()
    {
        Assert.Equal("shop v1.0.0 names the template config/a.template but holds no such file", Refused(templates: ["config/a.template"]));
        Write("/config/a.template", "x\n${NOBODY}");
        Assert.Contains("NOBODY", Refused(templates: ["config/a.template"]), StringComparison.Ordinal);
    }

    private void Write(string path, string content)
    {
        disk.MakeDirectories(Path.GetDirectoryName(Release + path)!);
        disk.WriteFile(Release + path, DurableOperations.Mode644, stream => stream.Write(System.Text.Encoding.UTF8.GetBytes(content)));
    }

    private string Refused(string[]? directories = null, string[]? files = null, string[]? templates = null)
    {
        var refused = Assert.Throws<OperatorException>(() => Prepare(directories, files, templates));
        Assert.Equal(ExitCode.Refused, refused.Code);
        return refused.Message;
    }

    private void Prepare(string[]? directories = null, string[]? files = null, string[]? templates = null)
    {
        var definition = new AppDefinition(World.Shop, Values, [], [], new GateOptions(TimeSpan.Zero, TimeSpan.Zero))
        {
            SharedDirectories = directories,
            SharedFiles = files,
            Templates = templates,
        };
        shared.Prepare(new Generation("shop-1", new ReleaseRef("v1.0.0", ""), definition), new UserIds(1000, 1000), Values);
    }
}
