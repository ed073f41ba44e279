using Agent.Artifacts;
using Agent.Daemon.Health;

namespace Agent.Daemon.Migrations;

/// <summary>Says no for the guard, with the three ways on.</summary>
/// <param name="version">What cannot live with what the database has seen.</param>
internal sealed class Refusals(MigrationTools tools, MigrationRun run, AppName app, string version)
{
    /// <exception cref="OperatorException">With <paramref name="code"/>: the guard says no, or what it wants taken back is in use on another host.</exception>
    public async Task ThrowIfAnyAsync(ExitCode code, CancellationToken cancellationToken)
    {
        switch (run.Guard)
        {
            case Guard.Refuse(var rows):
                string names = Migration.Few([.. rows.Select(applied => $"{applied.Row.Name} ({PhaseWords.Of(applied.Row.Phase)}, of {applied.Row.Release})")]);
                throw new OperatorException(code, $"{run.Database.Address.Shown} has seen {names}, which {version} does not know", Choices(rows));
            case Guard.TakeBack(var migrations):
                foreach ((AppliedRow applied, _) in migrations)
                {
                    if (await run.OthersAsync(applied.Row.Name, know: true, cancellationToken) is [var other, ..])
                        throw new OperatorException(code, $"{applied.Row.Name} cannot be taken back: {other.Host} runs {other.Release}, which knows it", Choices([.. migrations.Select(pair => pair.Row)]));
                }
                break;
        }
    }

    /// <summary>The three ways on where code would meet a schema that it does not know, with what each costs.</summary>
    public string Choices(IReadOnlyList<AppliedRow> rows)
    {
        string rollback = $"agentctl rollback {version} --app {app}";
        string restore = PointBefore(rows.MinBy(applied => applied.Row.Started)) is { } point
            ? $"{rollback} --restore-database {point.Id} (of {point.At.UtcDateTime:yyyy-MM-dd HH:mm:ss}Z: what was written since, in {Span(tools.Time.GetUtcNow() - point.At)}, is lost)"
            : "(no restore point from before is on this host)";
        return $"choose one: {restore}; {rollback} --ignore-schema ({version} meets a schema that it does not know); or publish a mended release and deploy that";
    }

    /// <summary>The one that was taken for the deployment that brought a migration; else the newest before it.</summary>
    private PointInTime? PointBefore(AppliedRow? oldest)
    {
        if (oldest is null) return null;
        IReadOnlyList<PointInTime> points = tools.Points.List(app, run.Database.Options);
        return points.Where(point => point.Deployment == oldest.Row.Deployment && point.At <= oldest.Row.Started).MaxBy(point => point.At)
            ?? points.Where(point => point.At < oldest.Row.Started).MaxBy(point => point.At);
    }

    private static string Span(TimeSpan span) => span switch
    {
        { TotalHours: < 2 } => Spoken.Duration(span),
        { TotalDays: < 2 } => $"{span.TotalHours:0} hours",
        _ => $"{span.TotalDays:0} days",
    };
}
