using Agent.Daemon.Deployments;
using Agent.Daemon.Health;
using Agent.Daemon.State;
using Agent.Daemon.Tracking;
using Google.Protobuf.WellKnownTypes;

namespace Agent.Daemon.Api;

/// <summary>The engine's and the journal's words as those of agent.v1.</summary>
internal static class Messages
{
    public static V1.Deployment Of(Deployment deployment) => new()
    {
        Id = deployment.Id,
        App = deployment.App.Value,
        FromVersion = deployment.From?.Version ?? "",
        ToVersion = deployment.To.Version,
        ToDigest = deployment.To.Digest,
        Trigger = Word(deployment.Trigger),
        By = deployment.By,
        Started = Of(deployment.Started),
        Finished = Of(deployment.Finished),
        Outcome = Of(deployment.Outcome),
        Step = deployment.Step?.Word() ?? "",
        Cause = deployment.Cause ?? "",
        Remedy = deployment.Remedy ?? "",
        StuckAtSchema = deployment.IsStuckAtSchema,
        Request = deployment.Request ?? "",
        Rollout = deployment.Rollout ?? "",
        Unsigned = deployment.Unsigned,
    };

    public static V1.InstalledRelease Of(InstalledRelease release) => new()
    {
        Version = release.Release.Version,
        Digest = release.Release.Digest,
        Current = release.Current,
        KeptBecause = release.KeptBecause ?? "",
        SizeBytes = release.Size,
        Proved = Of(release.Proved),
        Quarantined = release.Quarantined,
        GoesBecause = release.GoesBecause ?? "",
    };

    public static V1.QuarantinedRelease Of(Quarantine quarantine) => new()
    {
        Version = quarantine.Release.Version,
        Digest = quarantine.Release.Digest,
        Cause = quarantine.Cause,
        Since = Of(quarantine.Since),
        Deployment = quarantine.Deployment,
    };

    public static V1.UnsignedPush? Of(UnsignedPush? push) => push is null ? null : new V1.UnsignedPush { Version = push.Version, By = push.By, At = Of(push.At) };

    public static V1.UnitStatus Of(UnitState unit) => new()
    {
        Name = unit.Unit.Value,
        ActiveState = unit.LoadState == "loaded" ? unit.ActiveState : unit.LoadState,
        SubState = unit.SubState,
        Restarts = unit.Restarts,
        Since = Of(unit.Since),
        MainPid = unit.MainPid,
    };

    public static V1.LogLine Of(LogEntry line) => new()
    {
        At = Of(line.At),
        Unit = line.Unit,
        Message = line.Message,
        Priority = line.Priority,
        Pid = line.Pid,
    };

    public static V1.CheckResult Of(WatchedCheck check) => new()
    {
        Name = check.Last.Check,
        Passed = check.Last.Passed,
        Detail = check.Last.Detail,
        Failures = check.Failures,
        FailingSince = Of(check.FailingSince),
    };

    public static V1.CheckResult Of(CheckAnswer answer) => new() { Name = answer.Check, Passed = answer.Passed, Detail = answer.Detail };

    public static V1.StoreHealth Of(StoreHealth store) => new()
    {
        Description = store.Description,
        LastSuccess = Of(store.LastSuccess),
        Error = store.Error ?? "",
        Stale = store.Stale,
        Warnings = { store.Warnings },
    };

    public static V1.Evidence Of(Evidence evidence, Deployment deployment)
    {
        var message = new V1.Evidence
        {
            Step = deployment.Step?.Word() ?? evidence.Step,
            Cause = deployment.Cause ?? "",
            Checks = { evidence.Checks.Select(Of) },
            Units = { evidence.Units.Select(Of) },
            Log =
            {
                evidence.Log.Select(line => new V1.LogLine { At = Of(line.At), Unit = line.Unit, Message = line.Message, Priority = line.Priority, Pid = line.Pid }),
            },
            DiskFreeBytes = evidence.DiskFree,
            MemoryAvailableBytes = evidence.MemoryAvailable,
            Changed = { evidence.Changed },
        };
        foreach (HookEvidence hook in evidence.Hooks) message.Hooks.Add(new V1.HookEvidence { Name = hook.Name, Cause = hook.Cause, Output = { hook.Output } });
        if (evidence.OldChecks is { } checks) message.OldChecks.Add(checks.Select(Of));
        if (evidence.OldUnits is { } units) message.OldUnits.Add(units.Select(Of));
        return message;
    }

    public static V1.PersonsWish? Of(Hold? hold) => hold is null ? null : new V1.PersonsWish { By = hold.By, Reason = hold.Reason, Since = Of(hold.Since) };

    public static V1.PersonsWish? Of(Pin? pin) =>
        pin is null ? null : new V1.PersonsWish { By = pin.By, Reason = pin.Reason, Since = Of(pin.Since), Version = pin.Version };

    public static V1.DiffGenerationsResponse Of(GenerationDifference difference) => new()
    {
        A = difference.A,
        B = difference.B,
        Files = { difference.Files.Select(Of) },
        Units = { difference.Units.Select(Of) },
        Environment = { difference.Environment.Select(Of) },
    };

    public static V1.AuditRecord Of(AuditEntry entry) => new()
    {
        At = Of(entry.At),
        By = entry.By,
        From = entry.From,
        Role = entry.Role,
        Wish = entry.Wish,
        App = entry.App,
        Refused = entry.Refused,
        Outcome = entry.Outcome,
    };

    public static V1.Outcome Of(Outcome? outcome) => outcome switch
    {
        null => V1.Outcome.Unspecified,
        Outcome.Live => V1.Outcome.Live,
        Outcome.RolledBack => V1.Outcome.RolledBack,
        Outcome.NeedsOperator => V1.Outcome.NeedsOperator,
        _ => V1.Outcome.Refused,
    };

    public static Timestamp Of(DateTimeOffset at) => Timestamp.FromDateTimeOffset(at);

    public static Timestamp? Of(DateTimeOffset? at) => at is { } known ? Timestamp.FromDateTimeOffset(known) : null;

    public static string Word(Trigger trigger) => trigger switch
    {
        Trigger.Deploy => "deploy",
        Trigger.Rollback => "rollback",
        _ => "track",
    };

    private static V1.CheckResult Of(CheckEvidence check) => new() { Name = check.Name, Passed = check.Passed, Detail = check.Detail };

    private static V1.Difference Of(Difference difference) => new()
    {
        Kind = difference.Kind switch
        {
            DifferenceKind.Added => V1.Difference.Types.Kind.Added,
            DifferenceKind.Removed => V1.Difference.Types.Kind.Removed,
            _ => V1.Difference.Types.Kind.Changed,
        },
        Name = difference.Name,
        Before = difference.Before ?? "",
        After = difference.After ?? "",
    };

    private static V1.UnitEvidence Of(UnitEvidence unit) => new()
    {
        Name = unit.Name,
        ActiveState = unit.ActiveState,
        SubState = unit.SubState,
        Result = unit.Result,
        Exit = unit.ExitKind switch
        {
            "exited" => $"exit status {unit.ExitCode}",
            "killed" or "dumped" => $"signal {unit.ExitCode}",
            _ => "",
        },
        Restarts = unit.Restarts,
    };
}
