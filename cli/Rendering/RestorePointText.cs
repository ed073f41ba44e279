using Agent.Cli.Commands;
using Agent.V1;
using Grpc.Core;

namespace Agent.Cli.Rendering;

/// <summary>What the agent tells while it works at a restore point, and what it came to.</summary>
internal static class RestorePointText
{
    /// <summary>Shows what is going on; returns what comes last.</summary>
    public static async Task<RestorePointEvent> LastAsync(
        AgentCall call, Func<DatabaseService.DatabaseServiceClient, CallOptions, AsyncServerStreamingCall<RestorePointEvent>> question, CancellationToken cancellationToken)
    {
        RestorePointEvent? last = null;
        await foreach (RestorePointEvent happened in call.Agent.StreamDatabaseAsync(question, cancellationToken))
        {
            last = happened;
            if (happened.KindCase == RestorePointEvent.KindOneofCase.Progress) Progress(call.Terminal, happened.Progress);
        }
        return last is { KindCase: RestorePointEvent.KindOneofCase.Point or RestorePointEvent.KindOneofCase.Report }
            ? last
            : throw new Artifacts.OperatorException(Artifacts.ExitCode.Unreachable, "agentd went away before it was done", "look at what there is: agentctl db list");
    }

    /// <summary><c>dumping shop  1.2 GB of 2.1 GB (57 %)</c>, on a terminal only.</summary>
    public static void Progress(Terminal terminal, DatabaseProgress progress) => terminal.Progress(
        progress.Total > 0 ? $"{progress.Message}  {Human.Size(progress.Done)} of {Human.Size(progress.Total)} ({100 * progress.Done / progress.Total} %)" : progress.Message);

    public static void Show(AgentCall call, RestorePointReport report)
    {
        if (call.Json)
        {
            call.Terminal.Document(writer => writer.Object(report, JsonMessages.RestorePointReport));
            return;
        }
        call.Terminal.Line(new Piece(report.Message, report.Succeeded ? Tone.Good : Tone.Bad));
        foreach (string detail in report.Details) call.Terminal.Line($"  {detail}");
        if (report.NewRestorePoint.Length > 0) call.Terminal.Line(call.Hint($"  what was there is restore point {report.NewRestorePoint}: agentctl db restore {report.NewRestorePoint} takes this back"));
    }

    /// <summary><c>312.4 MB of 2.1 GB</c>; what an operator's command made has no size.</summary>
    public static string Sizes(RestorePoint point) =>
        point.Sha256.Length > 0 ? $"{Human.Size(point.SizeBytes)}, of a database of {Human.Size(point.DatabaseBytes)}" : point.Format;
}
