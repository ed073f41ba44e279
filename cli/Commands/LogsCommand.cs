using System.CommandLine;
using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class LogsCommand
{
    private const int ErrorPriority = 3;   // syslog: err

    public static Verb Create(Verbs verbs)
    {
        var follow = new Option<bool>("--follow", "-f") { Description = "go on with new lines until Ctrl-C" };
        Option<int> lines = Verbs.Count("--lines", "-n", "last lines to begin with", 50);
        return verbs.Asking(
            new Verb("logs", "Shows the log lines of the app's units.", "agentctl logs -n 100", "agentctl logs -f --app shop", "agentctl logs -f --host prod"),
            [verbs.App, follow, lines],
            AnswerAsync,
            (call, cancellationToken) => FanOut.LinesAsync(call, AnswerAsync, asTheyCome: call.Parsed.GetValue(follow), cancellationToken));

        Task<int> AnswerAsync(AgentCall call, CancellationToken cancellationToken) => RunAsync(
            call, new ReadLogsRequest { App = call.App, Lines = call.Parsed.GetValue(lines), Follow = call.Parsed.GetValue(follow) }, cancellationToken);
    }

    private static async Task<int> RunAsync(AgentCall call, ReadLogsRequest request, CancellationToken cancellationToken)
    {
        try
        {
            await foreach (LogLine line in call.Agent.StreamAsync((client, options) => client.ReadLogs(request, options), cancellationToken))
            {
                if (call.Json) call.Terminal.JsonLine(writer => writer.Object(line, JsonMessages.LogLine));
                else call.Terminal.Line(new Piece(Text(line), line.Priority <= ErrorPriority ? Tone.Bad : Tone.Plain));
            }
        }
        catch (OperationCanceledException) when (request.Follow && cancellationToken.IsCancellationRequested)
        {
            // Ctrl-C is how a person ends this one.
        }
        return 0;
    }

    /// <summary>As journalctl has it: when, who, what.</summary>
    public static string Text(LogLine line) =>
        $"{line.At?.ToDateTimeOffset():yyyy-MM-ddTHH:mm:ss.fffZ} {line.Unit}{(line.Pid > 0 ? $"[{line.Pid}]" : "")}: {line.Message}";
}
