namespace Agent.Daemon.State;

/// <summary>
/// What was seen when a step failed, before anything was cleaned up. Bounded (100 log lines and 100 lines a hook, of 1,000 characters), and no
/// secret's value is in it. Kept beside the journal, with its deployment.
/// </summary>
/// <param name="Step">The step that failed.</param>
/// <param name="Log">Lines of the units since the deployment began, oldest first.</param>
/// <param name="DiskFree">Bytes below the releases; -1: not known.</param>
/// <param name="MemoryAvailable">Bytes of the host; -1: not known.</param>
internal sealed record Evidence(
    string Step, IReadOnlyList<CheckEvidence> Checks, IReadOnlyList<UnitEvidence> Units, IReadOnlyList<LogEvidence> Log,
    IReadOnlyList<HookEvidence> Hooks, IReadOnlyList<string> Changed, long DiskFree, long MemoryAvailable)
{
    /// <summary>Answers of the old release's checks on the way back; null where it was not tried.</summary>
    public IReadOnlyList<CheckEvidence>? OldChecks { get; init; }

    /// <summary>Units of the old release on the way back; null where it was not tried.</summary>
    public IReadOnlyList<UnitEvidence>? OldUnits { get; init; }
}

internal sealed record CheckEvidence(string Name, bool Passed, string Detail);

/// <param name="Result">systemd's Result: <c>exit-code</c>, <c>signal</c>, <c>oom-kill</c>, ...</param>
internal sealed record UnitEvidence(string Name, string ActiveState, string SubState, string Result, string ExitKind, int ExitCode, uint Restarts);

internal sealed record LogEvidence(DateTimeOffset At, string Unit, int Priority, int Pid, string Message);

/// <param name="Cause">Empty where it succeeded.</param>
internal sealed record HookEvidence(string Name, string Cause, IReadOnlyList<string> Output);
