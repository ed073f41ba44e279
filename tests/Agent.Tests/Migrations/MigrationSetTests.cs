using System.Security.Cryptography;
using System.Text;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Manifests;
using Agent.Daemon.Deployments;
using Agent.Daemon.Migrations;
using Agent.Tests.Fakes;

namespace Agent.Tests.Migrations;

public sealed class MigrationSetTests : IDisposable
{
    private static readonly Disk Disk = new();
    private readonly TemporaryDirectory directory = new();

    public void Dispose() => directory.Dispose();

    [Fact]
    public void Reads_files_in_the_order_of_their_numbers()
    {
        Write("10_b.sql", "SELECT 10");
        Write("9_a.up.sql", "-- agentd: phase=expand\n-- agentd: reason=why\nSELECT 9");
        Write("9_a.down.sql", "SELECT -9");
        Write("20261121081200_c.sql", "\uFEFF-- agentd: no-transaction\n-- agentd: lock_timeout=1s\n-- agentd: statement_timeout=1h\n-- agentd: phase=contract\nVACUUM");
        Write("README.md", "\xff");
        Write(".hidden", "");
        IReadOnlyList<MigrationFile> files = Read();
        string path = Path.Combine(directory.Path, "db/migrations");
        Assert.Equal(new MigrationFile("9_a.up.sql", "9", $"{path}/9_a.up.sql", Sha("-- agentd: phase=expand\n-- agentd: reason=why\nSELECT 9"), Phase.Expand, true, null, null, "why", $"{path}/9_a.down.sql"), files[0]);
        Assert.Equal(new MigrationFile("10_b.sql", "10", $"{path}/10_b.sql", Sha("SELECT 10"), Phase.Unknown, true, null, null, "", null), files[1]);
        Assert.Equal(("20261121081200", Phase.Contract, false, TimeSpan.FromSeconds(1), TimeSpan.FromHours(1)), (files[2].Version, files[2].Phase, files[2].InTransaction, files[2].LockTimeout, files[2].StatementTimeout));
        Assert.Equal(3, files.Count);
        Assert.Equal(new SqlStatement("VACUUM", 5), Assert.Single(MigrationSet.Load(Disk, files[2]).Statements));
        Assert.Equal(new SqlStatement("SELECT -9", 1), Assert.Single(MigrationSet.LoadDown(Disk, files[0]).Statements));
        Assert.Contains("10_b.down.sql: is not in the release", Assert.Throws<OperatorException>(() => MigrationSet.LoadDown(Disk, files[1])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_fetched_release_reads_as_when_it_is_laid_out()
    {
        (string Name, string Text)[] release = [("1_a.sql", "SELECT 1"), ("1_a.down.sql", "SELECT -1"), ("2_b.sql", "SELECT 2"), ("README", "x")];
        foreach ((string name, string text) in release) Write(name, text);
        FetchedRelease fetched = Fetched([.. release.Select(file => (ManifestEntry)FileOf("db/migrations/" + file.Name, file.Text)), FileOf("other.sql", "x"), FileOf("db/x.sql", "x")]);
        Assert.Equal(
            Read().Select(file => file with { Path = "", Down = file.Down is null ? null : "" }),
            MigrationSet.Read(Disk, fetched, "db/migrations/").Select(file => file with { Path = "", Down = file.Down is null ? null : "" }));
        Assert.Equal("SELECT 2", Assert.Single(MigrationSet.Load(Disk, MigrationSet.Read(Disk, fetched, "db/migrations")[1]).Statements).Text);
    }

    [Fact]
    public void A_fetched_release_is_checked_as_well()
    {
        FetchedRelease fetched = Fetched([FileOf("m/1_a.sql", ""), new ManifestLink("m/2_b.sql", "1_a.sql"), FileOf("m/below/3_c.sql", "x"), new ManifestDirectory("m/4_d.sql")]);
        string told = Assert.Throws<OperatorException>(() => MigrationSet.Read(Disk, fetched, "m")).Message;
        Assert.Contains("m/2_b.sql: is a link", told, StringComparison.Ordinal);
        Assert.Contains("m/below: is a directory", told, StringComparison.Ordinal);
        Assert.Contains("m/4_d.sql: is no file", told, StringComparison.Ordinal);
        Assert.Contains("m: is not in the release", Assert.Throws<OperatorException>(() => MigrationSet.Read(Disk, Fetched([FileOf("mm/1_a.sql", "x")]), "m")).Message, StringComparison.Ordinal);
        Assert.Empty(MigrationSet.Read(Disk, Fetched([new ManifestDirectory("m")]), "m"));
    }

    [Fact]
    public void An_empty_directory_has_none()
    {
        Directory.CreateDirectory(Path.Combine(directory.Path, "db/migrations"));
        Assert.Empty(Read());
    }

    [Fact]
    public void Tells_all_that_is_wrong_with_the_names_at_once()
    {
        Write("0001_a.sql", "SELECT 1");
        Write("1_b.sql", "SELECT 1");
        Write("notes.txt", "");
        Write("V1__flyway.sql", "");
        Write("3_c.down.sql", "SELECT 1");
        Write("4_da\x1b.sql", "SELECT 1");
        Directory.CreateDirectory(Path.Combine(directory.Path, "db/migrations/meta"));
        File.CreateSymbolicLink(Path.Combine(directory.Path, "db/migrations/5_e.sql"), "/etc/passwd");
        OperatorException told = Assert.Throws<OperatorException>(Read);
        Assert.Equal(ExitCode.Refused, told.Code);
        Assert.Equal(
            [
                "db/migrations/4_da?.sql: is not named as a migration", "db/migrations/5_e.sql: is a link", "db/migrations/V1__flyway.sql: is not named as a migration",
                "db/migrations/meta: is a directory", "db/migrations/notes.txt: is not named as a migration", "db/migrations/1_b.sql: has the number of 0001_a.sql", "db/migrations/3_c.down.sql: has no migration that it would take back",
            ],
            told.Message.Split('\n').Select(line => line.Split(';')[0]));
    }

    [Fact]
    public void Tells_all_that_is_wrong_inside_at_once()
    {
        Write("1_a.sql", "");
        Write("2_b.sql", "-- nothing\n");
        directory.Write("db/migrations/3_c.sql", [.. "SELECT 1;\n'"u8, 0xc3, 0x28]);
        Write("4_d.sql", "SELECT 1;\nSELECT 'open");
        Write("5_e.sql", "SELECT 1");
        Write("5_e.down.sql", "\n\\i x");
        Write("6_f.sql", new string(' ', (10 << 20) + 1));
        OperatorException told = Assert.Throws<OperatorException>(Read);
        Assert.Equal(
            [
                "db/migrations/1_a.sql: holds no statement", "db/migrations/2_b.sql: holds no statement", "db/migrations/3_c.sql:2: is not UTF-8, at byte 11", "db/migrations/4_d.sql:2: a string begins here and does not end",
                "db/migrations/5_e.down.sql:2: \\i reads another file", "db/migrations/6_f.sql: is larger than 10 MiB",
            ],
            told.Message.Split('\n').Select(line => line.Split(';')[0]));
    }

    [Theory]
    [InlineData("db/nowhere", "db/nowhere: is not in the release")]
    [InlineData("db/file", "db/file: is no directory of the release")]
    [InlineData("link/migrations", "link/migrations: is no directory of the release")]
    [InlineData("../etc", "../etc: is no directory of the release")]
    public void The_directory_lies_in_the_release(string name, string problem)
    {
        Write("1_a.sql", "SELECT 1");
        directory.Write("db/file", "");
        File.CreateSymbolicLink(Path.Combine(directory.Path, "link"), "db");
        Assert.Contains(problem, Assert.Throws<OperatorException>(() => MigrationSet.Read(Disk, directory.Path, name)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_changed_since_is_refused()
    {
        Write("1_a.sql", "SELECT 1");
        MigrationFile file = Assert.Single(Read());
        Write("1_a.sql", "SELECT 2");
        Assert.Contains("1_a.sql: changed since it was checked", Assert.Throws<OperatorException>(() => MigrationSet.Load(Disk, file)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Ten_thousand_files_are_read_and_one_more_is_refused()
    {
        for (int i = 1; i <= MigrationSet.MostFiles; i++) Write($"{i}_a.sql", "SELECT 1");
        Assert.Equal(Enumerable.Range(1, MigrationSet.MostFiles).Select(i => $"{i}"), Read().Select(file => file.Version));
        Write("0_a.sql", "SELECT 1");
        Assert.Contains("db/migrations: holds 10001 migrations", Assert.Throws<OperatorException>(Read).Message, StringComparison.Ordinal);
    }

    private IReadOnlyList<MigrationFile> Read() => MigrationSet.Read(Disk, directory.Path, "db/migrations");

    private void Write(string name, string text) => directory.Write("db/migrations/" + name, text);

    private static string Sha(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));

    private ManifestFile FileOf(string path, string text)
    {
        directory.Write($"objects/{Sha(text)}", text);
        return new ManifestFile(path, Executable: false, Encoding.UTF8.GetByteCount(text), new Digest(Sha(text)), null);
    }

    private FetchedRelease Fetched(IReadOnlyList<ManifestEntry> entries)
    {
        var app = new AppName("shop");
        var version = new ReleaseVersion("v1.0.0");
        var manifest = new Manifest(app, version, entries, []);
        return new FetchedRelease(new ReleaseId(app, version, new Digest(new string('0', 64))), manifest, "/nowhere", entries.OfType<ManifestFile>().Where(file => file.Size > 0)
            .DistinctBy(FetchedRelease.ObjectKey).ToDictionary(FetchedRelease.ObjectKey, file => $"{directory.Path}/objects/{file.Sha256.Hex}"));
    }
}
