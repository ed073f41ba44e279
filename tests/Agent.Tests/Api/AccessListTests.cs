using System.Diagnostics;
using System.Net.Sockets;
using Agent.Artifacts.Durable;
using Agent.Daemon.Api;
using Microsoft.Extensions.Logging.Abstractions;

namespace Agent.Tests.Api;

/// <summary>Who the kernel lets connect, tried by processes of other users.</summary>
public sealed class AccessListTests : IDisposable
{
    private const uint First = 45001, Second = 45002, Third = 45003;

    // tmpfs, as /run is; /tmp may be of a kind that knows no access lists.
    private readonly string directory = Directory.CreateDirectory($"/dev/shm/agentd-test-{Guid.NewGuid():N}").FullName;

    public void Dispose() => Directory.Delete(directory, recursive: true);

    [Theory]
    [InlineData(First, true)]
    [InlineData(Second, true)]
    [InlineData(Third, true)]
    [InlineData(45004u, false)]
    public void Members_of_every_group_may_connect_and_nobody_else(uint group, bool may)
    {
        if (!Environment.IsPrivilegedProcess) Assert.Skip("only root may become somebody else: run the tests as root");
        string path = Path.Combine(directory, "agentd.sock");
        File.SetUnixFileMode(directory, DurableOperations.Mode755);
        using Socket socket = AgentSocket.Bind(new UnixDomainSocketEndPoint(path), path, [First, Third, Second], new Disk(), NullLogger.Instance);
        socket.Listen();
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite, File.GetUnixFileMode(path));
        Assert.Equal(may, Connects(path, uid: 45000, group));
    }

    [Fact]
    public void A_file_system_without_access_lists_is_an_answer() => Assert.False(AccessList.TrySet("/proc/self/comm", [First]));

    private static bool Connects(string path, uint uid, uint group)
    {
        string script = $"import os, socket; os.setgroups([{group}]); os.setgid({uid}); os.setuid({uid}); socket.socket(socket.AF_UNIX).connect('{path}')";
        using Process python = Process.Start(new ProcessStartInfo("/usr/bin/python3", ["-c", script]) { RedirectStandardError = true })!;
        string errors = python.StandardError.ReadToEnd();
        python.WaitForExit();
        if (python.ExitCode != 0) Assert.Contains("PermissionError", errors, StringComparison.Ordinal);
        return python.ExitCode == 0;
    }
}
