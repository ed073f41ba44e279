using System.Diagnostics;
using System.Runtime.InteropServices;
using Agent.TestHosts;

namespace Agent.SystemTests.Deployments;

/// <summary>Ends the agent, or the whole host, at the moment when the journal has grown by a number of records.</summary>
internal static partial class Interruption
{
    private const int PriorityOfThread = 0;

    private static readonly TimeSpan s_recovery = TimeSpan.FromSeconds(30);

    /// <summary><c>kill -9</c> of agentd; systemd starts it again.</summary>
    public static Func<AgentHost, Action> Kill => host =>
    {
        // Looked up beforehand: in the moment itself there is no time to lose.
        Process agent = Process.GetProcessById(Agent(host) ?? throw new InvalidOperationException("agentd does not run"));
        return () =>
        {
            using (agent) agent.Kill();
        };
    };

    /// <summary>Everything inside of the host ends at once.</summary>
    public static Func<AgentHost, Action> PowerCut => host =>
    {
        Process init = Process.GetProcessById(host.Host.Init);
        return () =>
        {
            using (init) init.Kill();
        };
    };

    /// <summary>Runs an agentctl command that starts a deployment, and ends the agent when the deployment has written so many records.</summary>
    /// <returns>How agentctl ended.</returns>
    public static async Task<CommandResult> AtRecordAsync(
        AgentHost host, Func<AgentHost, Action> kind, int record, IReadOnlyList<string> command, CancellationToken cancellationToken)
    {
        string journal = host.Host.Root + AgentHost.Journal;
        long start = File.Exists(journal) ? new FileInfo(journal).Length : 0;
        Action end = kind(host);
        Task<CommandResult> client = host.AgentctlAsync(command, cancellationToken);
        bool ended = await Task.Factory.StartNew(() => EndAtRecord(journal, start, record, end, client, cancellationToken), cancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        CommandResult result = await client;
        Assert.True(ended, $"the deployment ended before record {record}: {result.Output}{result.Errors}");
        return result;
    }

    /// <summary>Ends the agent once more, when its next life has written so many records of the recovery.</summary>
    public static async Task AgainAsync(AgentHost host, Func<AgentHost, Action> kind, int record, CancellationToken cancellationToken)
    {
        string journal = host.Host.Root + AgentHost.Journal;
        long start = new FileInfo(journal).Length;
        using var over = new CancellationTokenSource(s_recovery);
        Task limit = Task.Delay(Timeout.InfiniteTimeSpan, over.Token);
        while (Agent(host) is null && !limit.IsCompleted) await Task.Delay(TimeSpan.FromMilliseconds(5), cancellationToken);
        Action end = kind(host);
        bool ended = await Task.Factory.StartNew(() => EndAtRecord(journal, start, record, end, limit, cancellationToken), cancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        Assert.True(ended, $"the recovery wrote no {record} records");
    }

    /// <summary>The agent's process, as the machine sees it; null: none, between two lives.</summary>
    private static int? Agent(AgentHost host)
    {
        try
        {
            return File.ReadLines(Path.Combine(new HostFiles(host.Host.Id).Cgroup, "host/system.slice/agentd.service/cgroup.procs")).FirstOrDefault() is { } id ? int.Parse(id) : null;
        }
        catch (IOException)
        {
            return null;   // its cgroup is gone, or goes at this moment
        }
    }

    /// <param name="start">Length of the journal beforehand.</param>
    private static bool EndAtRecord(string journal, long start, int record, Action end, Task client, CancellationToken cancellationToken)
    {
        // The next record may be a fraction of a millisecond away, and the machine busy. Ends with this thread.
        _ = SetPriority(PriorityOfThread, 0, -20);
        while (!File.Exists(journal))   // until the first record of all
            if (client.IsCompleted || cancellationToken.IsCancellationRequested) return false;
        using var file = new FileStream(journal, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        file.Seek(start, SeekOrigin.Begin);
        var buffer = new byte[1 << 16];
        for (int records = 0; !cancellationToken.IsCancellationRequested;)
        {
            bool over = client.IsCompleted;
            int read = file.Read(buffer);
            records += buffer.AsSpan(0, read).Count((byte)'\n');
            if (records >= record)
            {
                end();
                return true;
            }
            if (over && read == 0) return false;
            if (read == 0) Thread.SpinWait(100);
        }
        return false;
    }

    // setpriority(2): on Linux PRIO_PROCESS and 0 mean the calling thread.
    [LibraryImport("libc", EntryPoint = "setpriority")]
    private static partial int SetPriority(int which, uint who, int value);
}
