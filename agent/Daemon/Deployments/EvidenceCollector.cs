using System.Globalization;
using Agent.Artifacts.Durable;
using Agent.Daemon.Configuration;
using Agent.Daemon.Releases;
using Agent.Daemon.State;

namespace Agent.Daemon.Deployments;

/// <summary>Gathers what can be seen when a step fails, before anything is cleaned up. Never fails, never takes long.</summary>
internal sealed class EvidenceCollector(
    ISupervisor supervisor, Generations generations, GenerationComparison comparison, EvidenceFiles files, IDisk disk, AgentOptions options, TimeProvider time,
    ILogger<EvidenceCollector> logger)
{
    private const int LogLines = 100, LineLength = 1000, ChangedLines = 40;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(5);

    /// <summary>What is to be seen of a deployment whose step failed. Kept with it.</summary>
    public Task CollectAsync(Deployment deployment, Step step, IReadOnlyList<CheckAnswer> answers, DeploymentWork work, CancellationToken stopping) => NeverFailAsync(deployment, async () =>
    {
        Generation? to = generations.Find(deployment.App, deployment.Id);
        (IReadOnlyList<UnitEvidence> units, IReadOnlyList<LogEvidence> log) = await LookAsync(to, deployment.Started, work.Redactor, stopping);
        files.Write(deployment.App, deployment.Id, new Evidence(
            step.Word(), Checks(answers, work.Redactor), units, log, Hooks(work), Changed(deployment, to), FreeDisk(), MemoryAvailable()));
    }, stopping);

    /// <summary>What is to be seen of the old release that did not come back either.</summary>
    public Task CollectOldAsync(Deployment deployment, IReadOnlyList<CheckAnswer> answers, DeploymentWork work, CancellationToken stopping) => NeverFailAsync(deployment, async () =>
    {
        Generation? from = deployment.FromGeneration is { } id ? generations.Find(deployment.App, id) : null;
        (IReadOnlyList<UnitEvidence> units, IReadOnlyList<LogEvidence> log) = await LookAsync(from, time.GetUtcNow() - TimeSpan.FromMinutes(10), work.Redactor, stopping);
        Evidence seen = files.Read(deployment.App, deployment.Id)
            ?? new Evidence("", [], [], log, Hooks(work), Changed(deployment, generations.Find(deployment.App, deployment.Id)), FreeDisk(), MemoryAvailable());
        files.Write(deployment.App, deployment.Id, seen with { OldChecks = Checks(answers, work.Redactor), OldUnits = units });
    }, stopping);

    // The way back must not wait for a fault in looking.
    private async Task NeverFailAsync(Deployment deployment, Func<Task> collect, CancellationToken stopping)
    {
        try
        {
            await collect();
        }
        catch (Exception e) when (!stopping.IsCancellationRequested && e is not OutOfMemoryException)
        {
            logger.NoEvidence(deployment.App, deployment.Id, e);
        }
    }

    private async Task<(IReadOnlyList<UnitEvidence>, IReadOnlyList<LogEvidence>)> LookAsync(Generation? generation, DateTimeOffset since, Redactor redactor, CancellationToken stopping)
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
                    if (line.At >= since) log.Add(new LogEvidence(line.At, line.Unit, line.Priority, line.Pid, Bounded(redactor.Clean(line.Message))));
            }
            catch (Exception e) when (!stopping.IsCancellationRequested)
            {
                units.Add(new UnitEvidence(unit.Value, "unknown", e.Message, "", "", 0, 0));
            }
        }
        return (units, [.. log.OrderBy(l => l.At).TakeLast(LogLines)]);
    }

    private static CheckEvidence[] Checks(IReadOnlyList<CheckAnswer> answers, Redactor redactor) => [.. answers.Select(a => new CheckEvidence(a.Check, a.Passed, redactor.Clean(a.Detail)))];

    // Once more: what ran before the secrets were known is clean now too.
    private static HookEvidence[] Hooks(DeploymentWork work) => [.. work.Hooks.Select(hook => hook with { Output = [.. hook.Output.Select(work.Redactor.Clean)] })];

    private List<string> Changed(Deployment deployment, Generation? to)
    {
        if (to is null || deployment.FromGeneration is not { } id) return [];
        try
        {
            return [.. GenerationComparison.Lines(comparison.Compare(deployment.App, id, to.Id), ChangedLines)];
        }
        catch (Exception e) when (e is IOException or Agent.Artifacts.OperatorException)
        {
            return [$"not known: {e.Message}"];
        }
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

    // Source: proc(5), MemAvailable of /proc/meminfo, in KiB.
    private long MemoryAvailable()
    {
        const string path = "/proc/meminfo", key = "MemAvailable:";
        try
        {
            string? line = disk.Exists(path) ? disk.ReadText(path).Split('\n').FirstOrDefault(l => l.StartsWith(key, StringComparison.Ordinal)) : null;
            return line is null ? -1 : long.Parse(line[key.Length..].Replace("kB", "", StringComparison.Ordinal), NumberStyles.AllowLeadingWhite | NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture) * 1024;
        }
        catch (Exception e) when (e is IOException or FormatException)
        {
            return -1;
        }
    }

    private static string Bounded(string text) => text.Length > LineLength ? text[..LineLength] + "..." : text;
}
