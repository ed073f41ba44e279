using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Hosting;

namespace Agent.Tests.Hosting;

public sealed class InstanceLockTests : IDisposable
{
    private readonly DirectoryInfo parent = Directory.CreateTempSubdirectory("agentd-lock-");

    private string Data => Path.Combine(parent.FullName, "var/agentd");

    public void Dispose() => parent.Delete(recursive: true);

    [Fact]
    public void A_second_one_is_refused_and_told_of_the_first()
    {
        using var first = InstanceLock.Take(new Disk(), Data);
        OperatorException error = Assert.Throws<OperatorException>(() => InstanceLock.Take(new Disk(), Data));
        Assert.Equal(ExitCode.Refused, error.Code);
        Assert.Equal($"agentd already runs here (pid {Environment.ProcessId}, on {Data})", error.Message);
        Assert.Contains("systemctl stop agentd", error.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void Can_be_taken_when_the_first_has_gone()
    {
        InstanceLock.Take(new Disk(), Data).Dispose();
        InstanceLock.Take(new Disk(), Data).Dispose();
        Assert.Equal($"{Environment.ProcessId}\n", File.ReadAllText(Path.Combine(Data, "agentd.lock")));
        Assert.Equal(DurableOperations.Mode700, File.GetUnixFileMode(Data));
    }

    [Fact]
    public void Does_not_mind_what_an_older_one_left_in_the_file()
    {
        Directory.CreateDirectory(Data);
        File.WriteAllText(Path.Combine(Data, "agentd.lock"), "4194304 and then something long\n");
        using var first = InstanceLock.Take(new Disk(), Data);
        Assert.Contains($"(pid {Environment.ProcessId},", Assert.Throws<OperatorException>(() => InstanceLock.Take(new Disk(), Data)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Says_which_file_it_cannot_open()
    {
        Directory.CreateDirectory(Path.Combine(Data, "agentd.lock"));
        Assert.Contains("agentd.lock", Assert.Throws<IOException>(() => InstanceLock.Take(new Disk(), Data)).Message, StringComparison.Ordinal);
    }
}
