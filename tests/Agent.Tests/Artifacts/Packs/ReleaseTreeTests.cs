using System.Formats.Tar;
using System.IO.Compression;
using System.Net.Sockets;
using System.Text;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Packs;

namespace Agent.Tests.Artifacts.Packs;

public sealed class ReleaseTreeTests : IDisposable
{
    private const UnixFileMode Plain = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
    private readonly Scratch scratch = new();

    public void Dispose() => scratch.Dispose();

    private ReleaseTree Read(string path, string version = "v1.0.0") =>
        ReleaseTree.Read(new Disk(), path, new ReleaseVersion(version), scratch.MakeDirectory("spool"), CancellationToken.None);

    private OperatorException Refusal(string path)
    {
        var refusal = Assert.Throws<OperatorException>(() => Read(path));
        Assert.Equal(ExitCode.Refused, refusal.Code);
        return refusal;
    }

    private static string Text(TreeFile file)
    {
        using var reader = new StreamReader(file.Open());
        return reader.ReadToEnd();
    }

    private string Tar(Action<TarWriter> write)
    {
        string path = scratch[Path.GetRandomFileName() + ".tar.gz"];
        using FileStream file = File.Create(path);
        using var gzip = new GZipStream(file, CompressionLevel.Fastest);
        using var tar = new TarWriter(gzip, TarEntryFormat.Pax);
        write(tar);
        return path;
    }

    private static PaxTarEntry TarFile(string name, string content, UnixFileMode mode = Plain) =>
        new(TarEntryType.RegularFile, name) { DataStream = new MemoryStream(Encoding.UTF8.GetBytes(content)), Mode = mode };

    [Fact]
    public void Reads_a_directory()
    {
        scratch.Write("app/bin/shop", "program");
        File.SetUnixFileMode(scratch["app/bin/shop"], Plain | UnixFileMode.UserExecute);
        scratch.Write("app/data.txt", "");
        scratch.MakeDirectory("app/empty");
        File.CreateSymbolicLink(scratch["app/run"], "bin/shop");

        ReleaseTree tree = Read(scratch["app"]);

        Assert.Equal(["VERSION", "bin/shop", "data.txt", "empty", "run"], tree.Entries.Select(entry => entry.Path));
        Assert.Equal("v1.0.0\n", Text((TreeFile)tree.Entries[0]));
        var shop = (TreeFile)tree.Entries[1];
        Assert.True(shop.Executable);
        Assert.Equal((7, Digest.Of("program"u8)), (shop.Size, shop.Sha256));
        Assert.False(((TreeFile)tree.Entries[2]).Executable);
        Assert.Equal(new TreeDirectory("empty"), tree.Entries[3]);
        Assert.Equal(new TreeLink("run", "bin/shop"), tree.Entries[4]);
    }

    [Theory]
    [InlineData("v1.0.0\n")]
    [InlineData("1.0.0")]
    public void Keeps_a_VERSION_file_that_agrees(string text)
    {
        scratch.Write("app/VERSION", text);
        Assert.Equal(text, Text(Assert.Single(Read(scratch["app"]).Files)));
        Assert.Equal("1.0.0", ReleaseTree.FindVersion(scratch["app"], CancellationToken.None)!.Text.TrimStart('v'));
    }

    [Fact]
    public void Refuses_a_VERSION_file_that_says_otherwise()
    {
        scratch.Write("app/VERSION", "v2.0.0\n");
        Assert.Contains("--version v2.0.0", Refusal(scratch["app"]).Remedy);
    }

    [Fact]
    public void Refuses_what_a_release_cannot_hold()
    {
        scratch.Write("app/fine", "");
        File.CreateSymbolicLink(scratch["app/out"], "../outside");
        Assert.Contains("out links out of the release", Refusal(scratch["app"]).Message);
        File.Delete(scratch["app/out"]);

        File.CreateSymbolicLink(scratch["app/absolute"], "/etc/passwd");
        Assert.Contains("absolute", Refusal(scratch["app"]).Message);
        File.Delete(scratch["app/absolute"]);

        File.SetUnixFileMode(scratch["app/fine"], Plain | UnixFileMode.SetUser);
        Assert.Contains("fine is setuid", Refusal(scratch["app"]).Message);
        File.SetUnixFileMode(scratch["app/fine"], Plain);

        using (var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            socket.Bind(new UnixDomainSocketEndPoint(scratch["app/socket"]));
            Assert.Contains("socket is a device, a fifo or a socket", Refusal(scratch["app"]).Message);
        }
        File.Delete(scratch["app/socket"]);

        scratch.Write("app/.agentd/manifest", "");
        Assert.Contains("belongs to the agent", Refusal(scratch["app"]).Message);
    }

    [Fact]
    public void Says_when_there_is_nothing_to_read()
    {
        Assert.Equal(ExitCode.Usage, Assert.Throws<OperatorException>(() => Read(scratch["missing"])).Code);
        scratch.Write("text", "no archive");
        Assert.Equal(ExitCode.Usage, Assert.Throws<OperatorException>(() => Read(scratch["text"])).Code);
    }

    [Fact]
    public void Reads_an_archive()
    {
        string archive = Tar(tar =>
        {
            tar.WriteEntry(new PaxTarEntry(TarEntryType.Directory, "./"));
            tar.WriteEntry(new PaxTarEntry(TarEntryType.Directory, "./bin/"));
            tar.WriteEntry(TarFile("./bin/shop", "program", Plain | UnixFileMode.UserExecute));
            tar.WriteEntry(new PaxTarEntry(TarEntryType.HardLink, "./bin/again") { LinkName = "./bin/shop" });
            tar.WriteEntry(new PaxTarEntry(TarEntryType.SymbolicLink, "run") { LinkName = "bin/shop" });
            tar.WriteEntry(new PaxTarEntry(TarEntryType.Directory, "empty/"));
            tar.WriteEntry(TarFile("VERSION", "1.0.0"));
        });

        ReleaseTree tree = Read(archive);

        Assert.Equal(["VERSION", "bin/again", "bin/shop", "empty", "run"], tree.Entries.Select(entry => entry.Path));
        Assert.Equal("program", Text((TreeFile)tree.Entries[1]));
        Assert.True(((TreeFile)tree.Entries[1]).Executable);
        Assert.Equal(Text((TreeFile)tree.Entries[2]), Text((TreeFile)tree.Entries[2]));
        Assert.Equal("1.0.0", ReleaseTree.FindVersion(archive, CancellationToken.None)!.Text);
    }

    [Theory]
    [InlineData("../out", "has a '..' segment")]
    [InlineData("/etc/cron.d/x", "is absolute")]
    [InlineData("a/../../x", "has a '..' segment")]
    public void Refuses_an_archive_path_out_of_the_tree(string path, string reason) =>
        Assert.Contains(reason, Refusal(Tar(tar => tar.WriteEntry(TarFile(path, "x")))).Message);

    [Fact]
    public void Refuses_archive_entries_that_a_release_cannot_hold()
    {
        Assert.Contains("Fifo", Refusal(Tar(tar => tar.WriteEntry(new PaxTarEntry(TarEntryType.Fifo, "f")))).Message);
        Assert.Contains("CharacterDevice", Refusal(Tar(tar => tar.WriteEntry(new PaxTarEntry(TarEntryType.CharacterDevice, "c") { DeviceMajor = 1, DeviceMinor = 3 }))).Message);
        Assert.Contains("setuid", Refusal(Tar(tar => tar.WriteEntry(TarFile("s", "x", Plain | UnixFileMode.SetUser)))).Message);
        Assert.Contains("hard link", Refusal(Tar(tar => tar.WriteEntry(new PaxTarEntry(TarEntryType.HardLink, "h") { LinkName = "../../etc/shadow" }))).Message);
        Assert.Contains("links out", Refusal(Tar(tar => tar.WriteEntry(new PaxTarEntry(TarEntryType.SymbolicLink, "l") { LinkName = "../x" }))).Message);
        Assert.Contains("twice", Refusal(Tar(tar =>
        {
            tar.WriteEntry(TarFile("a", "1"));
            tar.WriteEntry(TarFile("./a", "2"));
        })).Message);
        Assert.Contains("below the link", Refusal(Tar(tar =>
        {
            tar.WriteEntry(new PaxTarEntry(TarEntryType.SymbolicLink, "l") { LinkName = "d" });
            tar.WriteEntry(TarFile("l/x", "2"));
        })).Message);
    }

    [Fact]
    public void Says_when_an_archive_is_cut()
    {
        string archive = Tar(tar => tar.WriteEntry(TarFile("a", new string('x', 100_000))));
        byte[] bytes = File.ReadAllBytes(archive);
        File.WriteAllBytes(archive, bytes[..(bytes.Length / 2)]);
        Assert.Equal(ExitCode.Usage, Assert.Throws<OperatorException>(() => Read(archive)).Code);
    }
}
