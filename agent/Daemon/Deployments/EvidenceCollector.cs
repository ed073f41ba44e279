using Agent.Daemon.Releases;
using Agent.Daemon.State;
using Agent.Artifacts.Durable;
using Agent.Daemon.Configuration;

namespace Agent.Daemon.Deployments;

/// <summary>Gathers what can be seen when a step fails, before anything is cleaned up. Never fails, never takes long.</summary>
internal sealed class EvidenceCollector(ISupervisor supervisor, IDisk disk, AgentOptions options, TimeProvider time)
{
    private const int LogLines = 100;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(5);

    public async Task<Evidence> CollectAsync(Generation? generation, IReadOnlyList<CheckAnswer> answers, CancellationToken stopping)
    {
        using var timer = new CancellationTokenSource(Limit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, stopping);
        var units = new List<UnitEvidence>();
        var log = new List<LogEvidence>();
        foreach (UnitName unit in generation?.Units ?? [])
        {
            try
            {
                UnitState s = await supervisor.GetStateAsync(unit, either.Token);
                units.Add(new UnitEvidence(unit.Value, s.ActiveState, s.SubState, s.Result, s.ExitKind, s.ExitCode, s.Restarts));
                foreach (LogEntry line in await supervisor.ReadLogAsync(unit, LogLines, either.Token))
                    log.Add(new LogEvidence(line.At, line.Unit, line.Priority, line.Pid, line.Message));
            }
            catch (Exception e) when (!stopping.IsCancellationRequested)
            {
                units.Add(new UnitEvidence(unit.Value, "unknown", e.Message, "", "", 0, 0));
            }
        }
        return new Evidence(
            "", [.. answers.Select(a => new CheckEvidence(a.Check, a.Passed, a.Detail))], units, [.. log.OrderBy(l => l.At).TakeLast(LogLines)], [], [],
            FreeDisk(), GC.GetGCMemoryInfo().TotalAvailableMemoryBytes - GC.GetGCMemoryInfo().MemoryLoadBytes);
    }

    private long FreeDisk()
    {
        try
        {
            return disk.FreeBytes(options.Releases);
        }
        catch (IOException)
        {
            return -1;
        }
    }
}
