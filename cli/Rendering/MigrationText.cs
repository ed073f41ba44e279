using Agent.Artifacts;
using Agent.Cli.Commands;
using Agent.V1;

namespace Agent.Cli.Rendering;

/// <summary>What migrations would do, and what they did in a rehearsal, as a person reads it in 80 columns.</summary>
internal static class MigrationText
{
    private const int Columns = 80;

    /// <summary>Asks for a plan and shows it.</summary>
    /// <returns>The exit status: refused, where a deployment would be; 1 where there is a warning and <paramref name="failOnWarning"/>.</returns>
    public static async Task<int> PlanAsync(AgentCall call, PlanMigrationsRequest request, bool failOnWarning, CancellationToken cancellationToken)
    {
        MigrationPlan? plan = null;
        await foreach (PlanMigrationsEvent happened in call.Agent.StreamDatabaseAsync((client, options) => client.PlanMigrations(request, options), cancellationToken))
        {
            if (happened.KindCase == PlanMigrationsEvent.KindOneofCase.Progress) RestorePointText.Progress(call.Terminal, happened.Progress);
            else plan = happened.Plan;
        }
        if (plan is null) throw new OperatorException(ExitCode.Unreachable, "agentd went away before it had answered", "systemctl status agentd, then try again");
        if (call.Json) call.Terminal.Document(writer => writer.Object(plan, JsonMessages.Plan));
        else Show(call.Terminal, plan);
        if (plan.Refusal.Length > 0)
        {
            if (!call.Json) ErrorText.Write(call.Terminal, $"a deployment would be refused: {plan.Refusal}", call.Hint(plan.Remedy), (int)ExitCode.Refused, json: false);
            return (int)ExitCode.Refused;
        }
        return failOnWarning && plan.Migrations.Any(migration => migration.Statements.Any(statement => statement.Warnings.Count > 0)) ? (int)ExitCode.RolledBack : (int)ExitCode.Live;
    }

    public static void Show(Terminal terminal, Rehearsal rehearsal)
    {
        terminal.Line(new Piece(rehearsal.Succeeded ? "it would succeed" : "it would fail", rehearsal.Succeeded ? Tone.Good : Tone.Bad), $"  on restore point {rehearsal.RestorePoint} of {Human.Time(rehearsal.RestorePointAt)}");
        foreach (RehearsedMigration migration in rehearsal.Migrations)
        {
            terminal.Line(new Piece(migration.Name, Tone.Strong), $"  {Human.Span(migration.Took.ToTimeSpan())}");
            foreach (HeldLock held in migration.Locks)
                terminal.Line($"  {held.Mode} on {held.Table}  {(held.Held.ToTimeSpan() == TimeSpan.Zero ? "for a moment" : Human.Span(held.Held.ToTimeSpan()))}");
        }
        if (rehearsal.Migrations.Count == 0) terminal.Line("nothing is pending");
        if (!rehearsal.Succeeded) Wrapped(terminal, "cause: ", Tone.Bad, rehearsal.Cause);
        terminal.Line($"size  {Human.Size(rehearsal.SizeBefore)} -> {Human.Size(rehearsal.SizeAfter)}");
        foreach (string line in rehearsal.SchemaDifference) terminal.Line(new Piece(line, line.StartsWith('+') ? Tone.Good : Tone.Bad));
    }

    private static void Show(Terminal terminal, MigrationPlan plan)
    {
        string from = plan.FromVersion.Length > 0 ? plan.FromVersion : "nothing";
        terminal.Line(new Piece($"{plan.App}  {from} -> {plan.ToVersion}", Tone.Strong), plan.Database.Length > 0 ? $"  {plan.Database}" : "  no database");
        int warnings = 0;
        foreach (PlannedMigration migration in plan.Migrations)
        {
            string when = migration.AfterCommit ? "after the release is kept" : "before the flip";
            terminal.Line(new Piece(migration.Name, Tone.Strong), $"  {migration.Phase}, {when}{(migration.HasDown ? ", with .down.sql" : "")}{(migration.InTransaction || migration.Statements is [{ Line: 0 }] ? "" : ", no transaction")}");
            if (migration.Reason.Length > 0) Wrapped(terminal, "  reason: ", Tone.Plain, migration.Reason);
            foreach (PlannedStatement statement in migration.Statements)
            {
                Wrapped(terminal, statement.Line > 0 ? $"  {statement.Line,3}  " : "       ", Tone.Plain, statement.Summary);
                foreach (PlannedLock one in statement.Locks.Where(one => !one.NewTable)) terminal.Line(new Piece($"       {one.Mode} on {one.Table}{Size(one)}", Tone.Weak));
                foreach (PlanWarning warning in statement.Warnings)
                {
                    warnings++;
                    Wrapped(terminal, "       warning: ", Tone.Bad, warning.What);
                    Wrapped(terminal, "       safer:   ", Tone.Good, warning.Safer);
                }
                if (statement.Unseen.Length > 0) Wrapped(terminal, "       unseen:  ", Tone.Bad, statement.Unseen);
            }
        }
        if (plan.Database.Length == 0) return;
        if (!plan.LookedInside && plan.Migrations.Count > 0)
            Wrapped(terminal, "unseen: ", Tone.Bad, "PostgreSQL's parser is not on this host, so nobody could look inside: apt-get install libpg-query1504.0, then restart agentd");
        terminal.Line(plan.Migrations.Count == 0 ? "nothing is pending" : $"{Count(plan.Migrations.Count, "migration")}, {Count(warnings, "warning")}");
        if (plan.WayBack.Length > 0) Wrapped(terminal, "way back: ", Tone.Plain, plan.WayBack);
    }

    private static string Size(PlannedLock one) => one switch
    {
        { SizeBytes: 0, Rows: <= 0 } => "",
        { Rows: < 0 } => $" ({Human.Size(one.SizeBytes)}, never analysed)",
        _ => $" ({Human.Size(one.SizeBytes)}, about {one.Rows:N0} rows)",
    };

    private static string Count(int count, string what) => count == 1 ? $"1 {what}" : $"{count} {what}s";

    /// <summary>Breaks lines between words; what follows the first stands below its text.</summary>
    private static void Wrapped(Terminal terminal, string label, Tone tone, string text)
    {
        int room = Columns - label.Length;
        while (true)
        {
            int end = text.Length <= room ? text.Length : text.LastIndexOf(' ', room) is > 0 and var space ? space : room;
            terminal.Line(new Piece(label, tone), text[..end]);
            text = text[end..].TrimStart();
            if (text.Length == 0) return;
            label = new string(' ', label.Length);
        }
    }
}
