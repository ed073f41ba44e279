using System.Text.Json;
using Agent.Cli.Rollouts;
using Agent.Protos;
using Agent.V1;

namespace Agent.Cli.Rendering;

internal static partial class JsonMessages
{
    public static string Word(Stand stand) => stand switch
    {
        Stand.Waiting => "waiting",
        Stand.UnderWay => "under-way",
        Stand.Live => "live",
        Stand.Already => "already",
        Stand.RolledBack => "rolled-back",
        Stand.Refused => "refused",
        Stand.NeedsOperator => "needs-operator",
        Stand.Unreachable => "unreachable",
        Stand.Unhealthy => "unhealthy",
        Stand.GoingBack => "going-back",
        Stand.WentBack => "went-back",
        _ => "not-back",
    };

    public static void Rollout(Utf8JsonWriter writer, Rollout rollout)
    {
        writer.Text("id", rollout.Id);
        writer.Text("app", rollout.App);
        writer.Text("version", rollout.Plan?.Version ?? "");
        writer.WriteBoolean("rollback", rollout.Plan?.Rollback ?? false);
        writer.Text("state", RolloutWords.Of(rollout.State).Replace(' ', '-'));
        writer.WriteNumber("revision", rollout.Revision);
        writer.Text("driver", rollout.Driver);
        writer.Text("reason", rollout.Reason);
        writer.Time("started", rollout.Started);
        writer.Time("changed", rollout.Changed);
        writer.Texts("skipped", rollout.Plan?.Skipped ?? []);
    }

    /// <summary>A host of a rollout, with what became of it.</summary>
    public static void RolloutHost(Utf8JsonWriter writer, RolloutHostState host)
    {
        writer.WriteString("host", host.Host.Name);
        writer.WriteString("address", host.Host.Address);
        writer.WriteNumber("batch", host.Batch);
        writer.WriteString("stand", Word(host.Stand));
        writer.Text("why", host.Why);
        writer.Object("deployment", host.Known?.Deployment, Deployment);
        writer.Object("back", host.Known?.Back, Deployment);
    }

    /// <summary>A line for each thing that happens; null: of no interest.</summary>
    public static Action<Utf8JsonWriter>? RolloutLine(RolloutReport happened, DateTimeOffset at) => happened switch
    {
        RolloutReport.Changed(var rollout, _) => writer => Line(writer, at, null, "rollout", details => details.Object("details", rollout, Rollout)),
        RolloutReport.Began(var batch, var hosts) => writer => Line(writer, at, null, batch > 0 ? "batch" : "going-back", details => details.Object("details", happened, (w, _) =>
        {
            w.Number("batch", batch > 0 ? batch : null);
            w.Texts("hosts", hosts);
        })),
        RolloutReport.Went(var host, var went) => writer => writer.Object(went, (w, message) =>
        {
            w.WriteString("host", host);
            Event(w, message);
        }),
        RolloutReport.Lost(var host, var why) => writer => Line(writer, at, host, "lost", details => details.WriteString("details", why)),
        RolloutReport.Ended ended => writer => Line(writer, at, ended.Host, "ended", details => details.Object("details", ended, (w, end) =>
        {
            w.WriteString("stand", Word(end.Stand));
            w.Text("why", end.Why);
        })),
        RolloutReport.Settling(var batch, var span) => writer => Line(writer, at, null, "settling", details => details.Object("details", happened, (w, _) =>
        {
            w.WriteNumber("batch", batch);
            w.WriteNumber("seconds", span.TotalSeconds);
        })),
        RolloutReport.Ailing(var host, var stand, var why) => writer => Line(writer, at, host, "ended", details => details.Object("details", happened, (w, _) =>
        {
            w.WriteString("stand", Word(stand));
            w.Text("why", why);
        })),
        _ => null,
    };

    private static void Line(Utf8JsonWriter writer, DateTimeOffset at, string? host, string happened, Action<Utf8JsonWriter> details)
    {
        writer.WriteStartObject();
        if (host is null) writer.WriteNull("host");
        else writer.WriteString("host", host);
        writer.WriteString("at", $"{at:yyyy-MM-ddTHH:mm:ss.fffZ}");
        writer.WriteString("event", happened);
        details(writer);
        writer.WriteEndObject();
    }
}
