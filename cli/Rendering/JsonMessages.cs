using System.Text.Json;
using Agent.V1;

namespace Agent.Cli.Rendering;

/// <summary>The API's messages as JSON. Names are a promise: they are added to, never changed.</summary>
internal static partial class JsonMessages
{
    /// <summary>The word of an outcome, or null while a deployment is under way.</summary>
    public static string Word(Outcome outcome) => outcome switch
    {
        Outcome.Live => "live",
        Outcome.RolledBack => "rolled-back",
        Outcome.NeedsOperator => "needs-operator",
        Outcome.Refused => "refused",
        _ => "",
    };

    public static string Word(StepEvent.Types.Phase phase) => phase switch
    {
        StepEvent.Types.Phase.Started => "started",
        StepEvent.Types.Phase.Done => "done",
        StepEvent.Types.Phase.Failed => "failed",
        StepEvent.Types.Phase.UndoStarted => "undo-started",
        StepEvent.Types.Phase.UndoDone => "undo-done",
        StepEvent.Types.Phase.UndoFailed => "undo-failed",
        _ => "",
    };

    public static string Word(Difference.Types.Kind kind) => kind switch
    {
        Difference.Types.Kind.Added => "added",
        Difference.Types.Kind.Removed => "removed",
        _ => "changed",
    };

    public static void Migrations(Utf8JsonWriter writer, ListMigrationsResponse all)
    {
        writer.WriteString("database", all.Database);
        writer.Array("applied", all.Applied, static (w, applied) =>
        {
            w.Text("name", applied.Name);
            w.Text("phase", applied.Phase);
            w.Text("checksum", applied.Checksum);
            w.Text("release", applied.Release);
            w.Text("host", applied.Host);
            w.Text("deployment", applied.Deployment);
            w.Time("started", applied.Started);
            w.Time("finished", applied.Finished);
            w.Number("milliseconds", applied.Finished is null ? null : applied.Milliseconds);
        });
        writer.Array("pending", all.Pending, static (w, pending) =>
        {
            w.Text("name", pending.Name);
            w.Text("phase", pending.Phase);
            w.WriteBoolean("after_commit", pending.AfterCommit);
            w.WriteBoolean("in_transaction", pending.InTransaction);
            w.WriteBoolean("has_down", pending.HasDown);
            w.Text("reason", pending.Reason);
        });
        writer.Array("hosts", all.Hosts, static (w, host) =>
        {
            w.Text("host", host.Host);
            w.Text("release", host.Release);
            w.Time("updated", host.Updated);
        });
    }

    public static void RestorePoint(Utf8JsonWriter writer, RestorePoint point)
    {
        writer.Text("id", point.Id);
        writer.Text("app", point.App);
        writer.Time("at", point.At);
        writer.Text("release", point.Release);
        writer.Text("deployment", point.Deployment);
        writer.Text("last_migration", point.LastMigration);
        writer.Text("database", point.Database);
        writer.Text("server_version", point.ServerVersion);
        writer.Text("format", point.Format);
        writer.Number("size_bytes", point.Sha256.Length > 0 ? point.SizeBytes : null);
        writer.WriteNumber("database_bytes", point.DatabaseBytes);
        writer.Text("sha256", point.Sha256);
        writer.Text("by", point.By);
        writer.WriteBoolean("newest", point.Newest);
        writer.Text("kept_because", point.KeptBecause);
    }

    public static void RestorePointReport(Utf8JsonWriter writer, RestorePointReport report)
    {
        writer.WriteBoolean("succeeded", report.Succeeded);
        writer.Text("message", report.Message);
        writer.Texts("details", report.Details);
        writer.Text("new_restore_point", report.NewRestorePoint);
    }

    public static void Deployment(Utf8JsonWriter writer, Deployment deployment)
    {
        writer.Text("id", deployment.Id);
        writer.Text("app", deployment.App);
        writer.Text("from_version", deployment.FromVersion);
        writer.Text("to_version", deployment.ToVersion);
        writer.Text("to_digest", deployment.ToDigest);
        writer.Text("trigger", deployment.Trigger);
        writer.Text("by", deployment.By);
        writer.Time("started", deployment.Started);
        writer.Time("finished", deployment.Finished);
        writer.Text("outcome", Word(deployment.Outcome));
        writer.Text("step", deployment.Step);
        writer.Text("cause", deployment.Cause);
        writer.Text("remedy", deployment.Remedy);
        writer.Text("request", deployment.Request);
        writer.Text("rollout", deployment.Rollout);
        writer.WriteBoolean("unsigned", deployment.Unsigned);
    }

    public static void Event(Utf8JsonWriter writer, DeploymentEvent happened)
    {
        writer.Time("at", happened.At);
        writer.Text("deployment", happened.Deployment);
        switch (happened.KindCase)
        {
            case DeploymentEvent.KindOneofCase.Started:
                writer.WriteString("event", "started");
                writer.Object("details", happened.Started, Deployment);
                break;
            case DeploymentEvent.KindOneofCase.Step:
                writer.WriteString("event", "step");
                writer.Object("details", happened.Step, Step);
                break;
            case DeploymentEvent.KindOneofCase.Progress:
                writer.WriteString("event", "progress");
                writer.Object("details", happened.Progress, Progress);
                break;
            case DeploymentEvent.KindOneofCase.Finished:
                writer.WriteString("event", "finished");
                writer.Object("details", happened.Finished, Deployment);
                break;
            default:
                writer.WriteString("event", "unknown");
                break;
        }
    }

    public static void Status(Utf8JsonWriter writer, GetStatusResponse status)
    {
        writer.Text("host", status.Host);
        writer.Text("agent_version", status.AgentVersion);
        writer.Text("store", status.Store);
        writer.Array("apps", status.Apps, AppStatus);
    }

    public static void Health(Utf8JsonWriter writer, GetHealthResponse health)
    {
        writer.Array("apps", health.Apps, (w, app) =>
        {
            w.Text("app", app.App);
            w.Text("version", app.Version);
            w.WriteBoolean("healthy", app.Healthy);
            w.Array("checks", app.Checks, Check);
        });
        writer.Object("store", health.Store, (w, store) =>
        {
            w.Text("description", store.Description);
            w.Time("last_success", store.LastSuccess);
            w.Text("error", store.Error);
            w.WriteBoolean("stale", store.Stale);
            w.Texts("warnings", store.Warnings);
        });
    }

    public static void Why(Utf8JsonWriter writer, GetDeploymentResponse why)
    {
        writer.Object("deployment", why.Deployment, Deployment);
        writer.Text("verdict", why.Verdict);
        writer.WriteBoolean("quarantined", why.Quarantined);
        writer.Array("steps", why.Steps, Step);
        writer.Object("evidence", why.Evidence, (w, evidence) =>
        {
            w.Text("step", evidence.Step);
            w.Text("cause", evidence.Cause);
            w.Array("checks", evidence.Checks, Check);
            w.Array("units", evidence.Units, Unit);
            w.Array("log", evidence.Log, LogLine);
            w.WriteNumber("disk_free_bytes", evidence.DiskFreeBytes);
            w.WriteNumber("memory_available_bytes", evidence.MemoryAvailableBytes);
            w.Array("hooks", evidence.Hooks, (h, hook) =>
            {
                h.Text("name", hook.Name);
                h.Text("cause", hook.Cause);
                h.Texts("output", hook.Output);
            });
            w.Texts("changed", evidence.Changed);
            w.Array("old_checks", evidence.OldChecks, Check);
            w.Array("old_units", evidence.OldUnits, Unit);
        });
    }

    public static void Diff(Utf8JsonWriter writer, DiffGenerationsResponse difference)
    {
        writer.Text("a", difference.A);
        writer.Text("b", difference.B);
        writer.Array("files", difference.Files, One);
        writer.Array("units", difference.Units, One);
        writer.Array("environment", difference.Environment, One);

        static void One(Utf8JsonWriter writer, Difference one)
        {
            writer.WriteString("kind", Word(one.Kind));
            writer.Text("name", one.Name);
            writer.Text("before", one.Before);
            writer.Text("after", one.After);
        }
    }

    public static void AuditRecord(Utf8JsonWriter writer, AuditRecord record)
    {
        writer.Time("at", record.At);
        writer.Text("by", record.By);
        writer.Text("from", record.From);
        writer.Text("role", record.Role);
        writer.Text("wish", record.Wish);
        writer.Text("app", record.App);
        writer.WriteBoolean("refused", record.Refused);
        writer.Text("outcome", record.Outcome);
    }

    public static void Release(Utf8JsonWriter writer, InstalledRelease release)
    {
        writer.Text("version", release.Version);
        writer.Text("digest", release.Digest);
        writer.WriteBoolean("current", release.Current);
        writer.Text("kept_because", release.KeptBecause);
        writer.WriteNumber("size_bytes", release.SizeBytes);
        writer.Time("proved", release.Proved);
        writer.WriteBoolean("quarantined", release.Quarantined);
        writer.Text("goes_because", release.GoesBecause);
    }

    public static void LogLine(Utf8JsonWriter writer, LogLine line)
    {
        writer.Time("at", line.At);
        writer.Text("unit", line.Unit);
        writer.WriteNumber("pid", line.Pid);
        writer.WriteNumber("priority", line.Priority);
        writer.WriteString("message", line.Message);
    }

    public static void PollResult(Utf8JsonWriter writer, PollResult result)
    {
        writer.Text("app", result.App);
        writer.Text("latest", result.Latest);
        writer.Text("deployment", result.Deployment);
        writer.Text("message", result.Message);
        writer.Object("error", result.Error, (w, error) =>
        {
            w.Text("error", error.What);
            w.Text("fix", error.Remedy);
            w.WriteNumber("exit_code", error.ExitCode);
        });
    }

    private static void AppStatus(Utf8JsonWriter writer, AppStatus app)
    {
        writer.Text("app", app.App);
        writer.Text("version", app.Version);
        writer.Text("digest", app.Digest);
        writer.Time("since", app.Since);
        writer.Text("track", app.Track);
        writer.Text("latest", app.Latest);
        writer.Text("held_at", app.HeldAt);
        writer.Text("passed_over", app.PassedOver);
        writer.Object("hold", app.Hold, Wish);
        writer.Object("pin", app.Pin, Wish);
        writer.Text("max_version", app.MaxVersion);
        writer.Text("tracking", app.Tracking);
        writer.Object("unsigned", app.Unsigned, static (w, push) =>
        {
            w.Text("version", push.Version);
            w.Text("by", push.By);
            w.Time("at", push.At);
        });
        writer.Text("attention", app.Attention);
        writer.Object("running", app.Running, Deployment);
        writer.Object("last", app.Last, Deployment);
        writer.Array("units", app.Units, (w, unit) =>
        {
            w.Text("name", unit.Name);
            w.Text("active_state", unit.ActiveState);
            w.Text("sub_state", unit.SubState);
            w.WriteNumber("restarts", unit.Restarts);
            w.Time("since", unit.Since);
            w.WriteNumber("main_pid", unit.MainPid);
        });
        writer.Array("quarantined", app.Quarantined, (w, release) =>
        {
            w.Text("version", release.Version);
            w.Text("digest", release.Digest);
            w.Text("cause", release.Cause);
            w.Time("since", release.Since);
            w.Text("deployment", release.Deployment);
        });
    }

    private static void Wish(Utf8JsonWriter writer, PersonsWish wish)
    {
        writer.Text("version", wish.Version);
        writer.Text("by", wish.By);
        writer.Text("reason", wish.Reason);
        writer.Time("since", wish.Since);
    }

    private static void Check(Utf8JsonWriter writer, CheckResult check)
    {
        writer.Text("name", check.Name);
        writer.WriteBoolean("passed", check.Passed);
        writer.Text("detail", check.Detail);
        writer.WriteNumber("failures", check.Failures);
        writer.Time("failing_since", check.FailingSince);
    }

    private static void Unit(Utf8JsonWriter writer, UnitEvidence unit)
    {
        writer.Text("name", unit.Name);
        writer.Text("active_state", unit.ActiveState);
        writer.Text("sub_state", unit.SubState);
        writer.Text("result", unit.Result);
        writer.Text("exit", unit.Exit);
        writer.WriteNumber("restarts", unit.Restarts);
    }

    private static void Step(Utf8JsonWriter writer, StepEvent step)
    {
        writer.Text("step", step.Step);
        writer.Text("phase", Word(step.Phase));
        writer.Text("detail", step.Detail);
        writer.Seconds("seconds", step.Took);
    }

    private static void Progress(Utf8JsonWriter writer, ProgressEvent progress)
    {
        writer.Text("step", progress.Step);
        writer.Text("message", progress.Message);
        writer.WriteNumber("done", progress.Done);
        writer.WriteNumber("total", progress.Total);
    }

    public static void DatabaseStats(Utf8JsonWriter writer, GetDatabaseStatsResponse stats)
    {
        writer.WriteString("database", stats.Database);
        writer.WriteString("server_version", stats.ServerVersion);
        writer.WriteNumber("size_bytes", stats.SizeBytes);
        writer.WriteNumber("connections", stats.Connections);
        writer.WriteNumber("max_connections", stats.MaxConnections);
        if (stats.CacheHitRatio >= 0) writer.WriteNumber("cache_hit_ratio", stats.CacheHitRatio);
        writer.Array("tables", stats.Tables, (w, table) =>
        {
            w.WriteString("name", table.Name);
            w.WriteNumber("size_bytes", table.SizeBytes);
            if (table.Rows >= 0) w.WriteNumber("rows", table.Rows);
            w.WriteNumber("dead_rows", table.DeadRows);
        });
        writer.Array("busy", stats.Busy, (w, session) =>
        {
            w.WriteNumber("pid", session.Pid);
            w.Text("application", session.Application);
            w.WriteString("state", session.State);
            w.Seconds("age_seconds", session.Age);
            w.WriteString("query", session.Query);
            w.WriteBoolean("blocked", session.Blocked);
        });
        writer.Texts("warnings", stats.Warnings);
    }

    public static void DatabaseUrl(Utf8JsonWriter writer, GetDatabaseUrlResponse response)
    {
        writer.WriteString("url", response.Url);
        writer.Texts("warnings", response.Warnings);
    }
}
