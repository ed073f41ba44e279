using System.Text;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.State;
using Agent.Tests.Fakes;
using FsCheck;
using FsCheck.Fluent;
using static Agent.Daemon.State.JournalRecord;
using Outcome = Agent.Daemon.State.Outcome;

namespace Agent.Tests.State;

public class JournalTests
{
    private const string Path = "/var/lib/agentd/journal";
    private static readonly DateTimeOffset Now = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    [Fact]
    public void Gives_back_what_was_appended()
    {
        SimulatedDisk disk = Disk();
        JournalRecord[] written =
        [
            new DeploymentStarted(Now, "shop-1", "shop", null, null, new ReleaseRef("v1.0.0", new string('a', 64)), Trigger.Deploy, "uid 0 (root)"),
            new StepFailed(Now, "shop-1", Step.Gate, "GET /up gave 500\nline", "é\u0001\"", true),
            new DeploymentFinished(Now, "shop-1", Outcome.RolledBack, true),
        ];
        Write(disk, written);
        Assert.Equal(written.Select(Json), Open(disk, out long cut).Select(Json));
        Assert.Equal(0, cut);
    }

    [Fact]
    public void Cuts_a_torn_tail_at_every_length_and_goes_on()
    {
        SimulatedDisk whole = Disk();
        Write(whole, Steps(3));
        byte[] content = whole.ReadAll(Path);
        int lastStart = Encoding.UTF8.GetString(content).TrimEnd('\n').LastIndexOf('\n') + 1;
        for (int length = lastStart; length < content.Length; length++)
            foreach (int zeros in new[] { 0, content.Length - length })
            {
                SimulatedDisk disk = Disk();
                disk.Append(Path, [.. content[..length], .. new byte[zeros]]);
                Assert.Equal(2, Open(disk, out long cut).Count);
                Assert.Equal(length - lastStart + zeros, cut);
                Write(disk, Steps(1));
                Assert.Equal(3, Open(disk, out _).Count);
            }
    }

    [Fact]
    public void Refuses_to_start_on_any_flipped_bit()
    {
        SimulatedDisk whole = Disk();
        Write(whole, Steps(3));
        byte[] content = whole.ReadAll(Path);
        for (int bit = 0; bit < (content.Length - 1) * 8; bit++)   // without its last line break the last record is just torn
        {
            byte[] damaged = [.. content];
            damaged[bit / 8] ^= (byte)(1 << (bit % 8));
            SimulatedDisk disk = Disk();
            disk.Append(Path, damaged);
            var refused = Assert.Throws<OperatorException>(() => Open(disk, out _));
            Assert.Equal(ExitCode.NeedsOperator, refused.Code);
            Assert.Contains("record ", refused.Message, StringComparison.Ordinal);
            Assert.Contains("truncate --size=", refused.Remedy, StringComparison.Ordinal);
            Assert.Equal(damaged, disk.ReadAll(Path));
        }
    }

    [Fact]
    public void Cuts_what_a_full_disk_left_half_written_before_the_next_record()
    {
        SimulatedDisk disk = Disk();
        Journal journal = Journal.Open(disk, Path, out _, out _);
        journal.Append(Steps(1)[0]);
        disk.Fault = new IOException("no space left");
        Assert.Throws<IOException>(() => journal.Append(Steps(1)[0]));
        disk.Fault = null;
        disk.Append(Path, "half a rec"u8);
        journal.Append(Steps(1)[0]);
        Assert.Equal(2, Open(disk, out long cut).Count);
        Assert.Equal(0, cut);
    }

    [Fact]
    public void A_line_is_a_checksum_a_number_and_a_record_as_every_version_wrote_it()
    {
        SimulatedDisk disk = Disk();
        const string line = "CRC 1 {\"type\":\"held\",\"by\":\"ann\",\"reason\":\"audit\",\"app\":\"shop\",\"at\":\"2026-01-02T03:04:05+00:00\"}\n";
        Write(disk, [new Held(Now, "shop", "ann", "audit")]);
        string written = disk.ReadText(Path);
        Assert.Equal(line, "CRC" + written[8..]);
        Assert.Equal("119796d5", written[..8]);
    }

    [Theory]
    [InlineData(0, false)]   // of writing it beside, syncing it, renaming it and syncing the directory: which fails, and whether it is the new one
    [InlineData(1, false)]
    [InlineData(2, false)]
    [InlineData(3, true)]
    public void What_is_put_in_place_of_all_is_the_old_journal_or_the_new_one_and_goes_on(int fails, bool replaced)
    {
        SimulatedDisk disk = Disk();
        Journal journal = Journal.Open(disk, Path, out _, out _);
        foreach (JournalRecord record in Steps(3)) journal.Append(record);
        disk.TroubleFrom(fails, 1);
        if (replaced) journal.Replace(Steps(1));
        else Assert.Throws<IOException>(() => journal.Replace(Steps(1)));
        journal.Append(new Held(Now, "shop", "ann", "after it"));
        Assert.Equal(replaced ? 2 : 4, Open(disk.After(Loss.Dropped, new Fuse(int.MaxValue)), out _).Count);
        Assert.Equal(replaced ? 2 : 4, Open(disk, out long cut).Count);
        Assert.Equal(0, cut);
    }

    [Fact]
    public void Never_invents_a_record_out_of_garbage()
    {
        Prop.ForAll(ArbMap.Default.ArbFor<byte[]>(), garbage =>
        {
            SimulatedDisk disk = Disk();
            Write(disk, Steps(2));
            disk.Append(Path, garbage);
            try
            {
                return Open(disk, out _).Count == 2;
            }
            catch (OperatorException)
            {
                return true;
            }
        }).QuickCheckThrowOnFailure();
    }

    private static SimulatedDisk Disk()
    {
        var disk = new SimulatedDisk(new Fuse(int.MaxValue));
        disk.MakeDirectories("/var/lib/agentd");
        return disk;
    }

    private static JournalRecord[] Steps(int count) => [.. Enumerable.Range(0, count).Select(i => new StepStarted(Now, "shop-1", (Step)i))];

    private static void Write(SimulatedDisk disk, JournalRecord[] records)
    {
        Journal journal = Journal.Open(disk, Path, out _, out _);
        foreach (JournalRecord record in records) journal.Append(record);
    }

    private static IReadOnlyList<JournalRecord> Open(SimulatedDisk disk, out long cut)
    {
        Journal.Open(disk, Path, out IReadOnlyList<JournalRecord> records, out cut);
        return records;
    }

    private static string Json(JournalRecord record) => System.Text.Json.JsonSerializer.Serialize(record, JournalJson.Default.JournalRecord);
}
