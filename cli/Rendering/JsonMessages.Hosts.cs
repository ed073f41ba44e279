using System.Text.Json;
using Agent.Cli.Commands;
using Agent.Cli.Hosts;

namespace Agent.Cli.Rendering;

internal static partial class JsonMessages
{
    public static void Inventory(Utf8JsonWriter writer, Inventory inventory)
    {
        writer.Array("hosts", inventory.Hosts, static (w, host) =>
        {
            w.WriteString("name", host.Name);
            w.WriteString("address", host.Address.ToString());
            w.Texts("groups", host.Groups);
            w.Text("fingerprint", host.Fingerprint ?? "");
            w.Text("file", host.File ?? "");
        });
        writer.Array("groups", inventory.Groups, static (w, group) =>
        {
            w.WriteString("name", group.Name);
            w.Texts("hosts", group.Hosts);
            w.Object("rollout", group.Rollout, Rollout);
        });
        writer.Text("host", inventory.Default?.Wanted ?? "");
        writer.Text("app", inventory.App ?? "");
        writer.Text("note", inventory.Note ?? "");
    }

    public static void HostCheck(Utf8JsonWriter writer, HostCheck check)
    {
        writer.WriteString("version", check.Version);
        writer.Text("by", check.By);
        writer.Text("role", check.Role);
        Seconds(writer, "clock_ahead_seconds", check.Skew);
        Seconds(writer, "round_trip_seconds", check.RoundTrip);
    }

    private static void Rollout(Utf8JsonWriter writer, RolloutDefaults rollout)
    {
        writer.Text("batch", rollout.Batch ?? "");
        writer.Number("canary", rollout.Canary);
        Seconds(writer, "soak_seconds", rollout.Soak);
        writer.Number("max_unavailable", rollout.MaxUnavailable);
        Seconds(writer, "pause_seconds", rollout.Pause);
        writer.Number("max_failures", rollout.MaxFailures);
        if (rollout.RollbackAll is { } all) writer.WriteBoolean("rollback_all", all);
        else writer.WriteNull("rollback_all");
    }

    private static void Seconds(Utf8JsonWriter writer, string name, TimeSpan? span)
    {
        if (span is { } known) writer.WriteNumber(name, Math.Round(known.TotalSeconds, 3));
        else writer.WriteNull(name);
    }
}
