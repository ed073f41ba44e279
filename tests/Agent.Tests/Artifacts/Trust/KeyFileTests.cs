using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Trust;
using Agent.Tests.Fakes;

namespace Agent.Tests.Artifacts.Trust;

public sealed class KeyFileTests : IDisposable
{
    private readonly TemporaryDirectory directory = new();

    public void Dispose() => directory.Dispose();

    [Fact]
    public void Is_written_for_its_owner_alone_and_read_again()
    {
        string path = Path.Combine(directory.Path, "keys.json");
        KeyFile keys = KeyFile.Generate(RoleLives.Default with { Timestamp = TimeSpan.FromDays(7) }, new ManualTime()).WithApp(new AppName("shop"));
        keys.Write(new Disk(), path);
        Assert.Equal(DurableOperations.Mode600, File.GetUnixFileMode(path));
        KeyFile read = KeyFile.Read(path);
        Assert.Equal(["root", "online", "release shop", "promote shop"], read.Keys.Select(key => key.Purpose));
        Assert.Equal(keys.Keys.Select(key => key.KeyId), read.Keys.Select(key => key.KeyId));
        Assert.Equal((keys.Lives, Convert.ToHexString(keys.Root)), (read.Lives, Convert.ToHexString(read.Root)));
        Assert.Same(read, read.WithApp(new AppName("shop")));
    }

    [Theory]
    [InlineData(UnixFileMode.GroupRead)]
    [InlineData(UnixFileMode.OtherRead)]
    [InlineData(UnixFileMode.GroupWrite)]
    public void Refuses_a_file_that_others_can_open(UnixFileMode extra)
    {
        string path = Path.Combine(directory.Path, "keys.json");
        KeyFile.Generate(RoleLives.Default, new ManualTime()).Write(new Disk(), path);
        File.SetUnixFileMode(path, DurableOperations.Mode600 | extra);
        OperatorException refused = Assert.Throws<OperatorException>(() => KeyFile.Read(path));
        Assert.Equal(ExitCode.Usage, refused.Code);
        Assert.Contains("chmod 600", refused.Remedy);
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("""{"format":2}""")]
    [InlineData("""{"format":1,"days":{},"keys":[],"root":"{}"}""")]
    [InlineData("""{"format":1,"days":{"root":0,"targets":1,"release":1,"promote":1,"snapshot":1,"timestamp":1},"keys":[],"root":"{}"}""")]
    [InlineData("""{"format":1,"days":{"root":1,"targets":1,"release":1,"promote":1,"snapshot":1,"timestamp":1},"keys":[{"purpose":"root","pkcs8":"AAAA"}],"root":"{}"}""")]
    [InlineData("""{"format":1,"days":{"root":1,"targets":1,"release":1,"promote":1,"snapshot":1,"timestamp":1},"keys":[null],"root":"{}"}""")]
    public void Refuses_what_is_no_key_file(string content)
    {
        string path = directory.Write("keys.json", content);
        File.SetUnixFileMode(path, DurableOperations.Mode600);
        Assert.Equal(ExitCode.Usage, Assert.Throws<OperatorException>(() => KeyFile.Read(path)).Code);
    }

    [Fact]
    public void Says_so_when_there_is_none() =>
        Assert.Equal(ExitCode.Usage, Assert.Throws<OperatorException>(() => KeyFile.Read(Path.Combine(directory.Path, "none.json"))).Code);

    [Fact]
    public void Never_prints_a_private_key() =>
        Assert.Matches(@"\Aroot [0-9a-f]{12}\z", KeyFile.Generate(RoleLives.Default, new ManualTime()).Find("root")!.ToString());
}
