using System.Text.Json;
using Agent.V1;

namespace Agent.Cli.Rendering;

internal static partial class JsonMessages
{
    public static void Plan(Utf8JsonWriter writer, MigrationPlan plan)
    {
        writer.Text("app", plan.App);
        writer.Text("from_version", plan.FromVersion);
        writer.Text("to_version", plan.ToVersion);
        writer.Text("database", plan.Database);
        writer.Array("migrations", plan.Migrations, Migration);
        writer.Text("refusal", plan.Refusal);
        writer.Text("remedy", plan.Remedy);
        writer.WriteBoolean("looked_inside", plan.LookedInside);
        writer.Text("way_back", plan.WayBack);
    }

    public static void Migration(Utf8JsonWriter writer, PlannedMigration migration)
    {
        writer.Text("name", migration.Name);
        writer.Text("phase", migration.Phase);
        writer.WriteBoolean("after_commit", migration.AfterCommit);
        writer.WriteBoolean("in_transaction", migration.InTransaction);
        writer.WriteBoolean("has_down", migration.HasDown);
        writer.Text("reason", migration.Reason);
        writer.Array("statements", migration.Statements, (w, statement) =>
        {
            w.Number("line", statement.Line > 0 ? statement.Line : null);
            w.Text("summary", statement.Summary);
            w.Array("locks", statement.Locks, (l, one) =>
            {
                l.Text("table", one.Table);
                l.Text("mode", one.Mode);
                l.WriteNumber("size_bytes", one.SizeBytes);
                l.Number("rows", one.Rows < 0 ? null : one.Rows);
                l.WriteBoolean("new_table", one.NewTable);
            });
            w.Array("warnings", statement.Warnings, (t, warning) =>
            {
                t.Text("what", warning.What);
                t.Text("safer", warning.Safer);
            });
            w.Text("unseen", statement.Unseen);
        });
    }

    public static void Rehearsal(Utf8JsonWriter writer, Rehearsal rehearsal)
    {
        writer.Text("restore_point", rehearsal.RestorePoint);
        writer.Time("restore_point_at", rehearsal.RestorePointAt);
        writer.WriteBoolean("succeeded", rehearsal.Succeeded);
        writer.Text("cause", rehearsal.Cause);
        writer.Array("migrations", rehearsal.Migrations, (w, migration) =>
        {
            w.Text("name", migration.Name);
            w.Seconds("took_seconds", migration.Took);
            w.Array("locks", migration.Locks, (l, held) =>
            {
                l.Text("table", held.Table);
                l.Text("mode", held.Mode);
                l.Seconds("held_seconds", held.Held);
            });
        });
        writer.WriteNumber("size_before_bytes", rehearsal.SizeBefore);
        writer.WriteNumber("size_after_bytes", rehearsal.SizeAfter);
        writer.Texts("schema_difference", rehearsal.SchemaDifference);
    }
}
