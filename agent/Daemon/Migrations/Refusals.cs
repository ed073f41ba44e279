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
                throw new OperatorException(code, $"{run.Database.Address.Shown} has seen {names}, which {version} does not know", await ChoicesAsync(rows, cancellationToken));
            case Guard.TakeBack(var migrations):
                foreach ((AppliedRow applied, _) in migrations)
                {
                    if (await run.OthersAsync(applied.Row.Name, know: true, cancellationToken) is [var other, ..])
                        throw new OperatorException(code, $"{applied.Row.Name} cannot be taken back: {other.Host} runs {other.Release}, which knows it", await ChoicesAsync([.. migrations.Select(pair => pair.Row)], cancellationToken));
                }
                break;
        }
    }

    /// <summary>The three ways on where code would meet a schema that it does not know, with what each costs.</summary>
    public async Task<string> ChoicesAsync(IReadOnlyList<AppliedRow> rows, CancellationToken cancellationToken)
    {
        string rollback = $"agentctl rollback {version} --app {app}", restore;
        try
        {
            restore = await PointBeforeAsync(rows.MinBy(applied => applied.Row.Started), cancellationToken) is { } point
                ? $"{rollback} --restore-database {point.Id} (of {point.At.UtcDateTime:yyyy-MM-dd HH:mm:ss}Z: what was written since, in {Span(tools.Time.GetUtcNow() - point.At)}, is lost)"
                : "(this host has no restore point from before)";
        }
        catch (OperatorException e)
        {
            restore = $"(which restore points there are is not known: {e.Message})";
        }
        return $"choose one: {restore}; {rollback} --ignore-schema ({version} meets a schema that it does not know); or publish a mended release and deploy that";
    }

    /// <summary>The one that was taken for the deployment that brought a migration; else the newest before it.</summary>
    private async Task<PointInTime?> PointBeforeAsync(AppliedRow? oldest, CancellationToken cancellationToken)
    {
        if (oldest is null) return null;
        IReadOnlyList<PointInTime> points = await tools.Points.ListAsync(app, run.Database.Options, cancellationToken);
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
