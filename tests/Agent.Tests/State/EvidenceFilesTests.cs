using Agent.Artifacts.Durable;
using Agent.Daemon.State;
using Agent.Tests.Fakes;

namespace Agent.Tests.State;

/// <summary>Evidence that outlives the clean-up, also where the disk does not take it.</summary>
public class EvidenceFilesTests
{
    private readonly SimulatedDisk disk = new(new Fuse(int.MaxValue));
    private readonly EvidenceFiles files;

    public EvidenceFilesTests()
    {
        disk.MakeDirectories("/var/lib/agentd");
        files = new EvidenceFiles(disk, "/var/lib/agentd");
    }

    [Fact]
    public void What_was_written_is_read_again_after_a_restart_and_is_roots_alone()
    {
        files.Write(World.Shop, "shop-1", Seen("gate"));
        Evidence read = new EvidenceFiles(disk, "/var/lib/agentd").Read(World.Shop, "shop-1")!;
        Assert.Equal(("gate", 7, -1), (read.Step, read.DiskFree, read.MemoryAvailable));
        Assert.Equal(DurableOperations.Mode600, disk.Status("/var/lib/agentd/evidence/shop/shop-1.json")!.Mode);
        Assert.Equal(DurableOperations.Mode700, disk.Status("/var/lib/agentd/evidence/shop")!.Mode);
        Assert.Null(files.Read(World.Shop, "shop-2"));
    }

    [Fact]
    public void What_a_full_disk_does_not_take_is_shown_as_long_as_the_agent_runs()
    {
        files.Write(World.Shop, "shop-1", Seen("flip"));
        disk.Fault = new IOException("No space left on device");
        files.Write(World.Shop, "shop-1", Seen("gate"));
        Assert.Equal("gate", files.Read(World.Shop, "shop-1")!.Step);
        disk.Fault = null;
        files.Write(World.Shop, "shop-1", Seen("fetch"));
        Assert.Equal("fetch", files.Read(World.Shop, "shop-1")!.Step);
        Assert.Equal("fetch", new EvidenceFiles(disk, "/var/lib/agentd").Read(World.Shop, "shop-1")!.Step);
    }

    [Fact]
    public void A_disk_that_stays_full_does_not_fill_the_memory()
    {
        disk.Fault = new IOException("No space left on device");
        for (int n = 1; n <= 11; n++) files.Write(World.Shop, $"shop-{n}", Seen("gate"));
        Assert.All(Enumerable.Range(1, 11), n => Assert.NotNull(files.Read(World.Shop, $"shop-{n}")));
        files.Write(World.Shop, "shop-12", Seen("gate"));
        Assert.Null(files.Read(World.Shop, "shop-1"));
        Assert.NotNull(files.Read(World.Shop, "shop-12"));
    }

    [Fact]
    public void A_file_that_is_damaged_is_no_evidence_and_no_error()
    {
        files.Write(World.Shop, "shop-1", Seen("gate"));
        disk.WriteAtomic("/var/lib/agentd/evidence/shop/shop-1.json", "{ \"step\": ");
        Assert.Null(files.Read(World.Shop, "shop-1"));
    }

    [Fact]
    public void Evidence_goes_with_its_deployment()
    {
        files.Write(World.Shop, "shop-1", Seen("gate"));
        files.Write(World.Shop, "shop-2", Seen("gate"));
        files.RemoveAllBut(World.Shop, new HashSet<string> { "shop-2" });
        Assert.Equal(["shop-2.json"], disk.List("/var/lib/agentd/evidence/shop"));
    }

    private static Evidence Seen(string step) => new(step, [], [], [], [], [], 7, -1);
}
