using System.CommandLine;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Agent.Artifacts;
using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

/// <summary><c>drill</c>: kills an agent of its own at every step of a deployment, and looks at what is left.</summary>
internal static class DrillCommand
{
    private static readonly string[] Steps = ["fetch", "stage", "prepare", "flip", "restart", "gate", "sweep"];

    // The order in which a deployment goes back: docs/states.md.
    private static readonly string[] Undone = ["flip", "restart", "prepare", "stage", "gate"];

    private const int Tries = 3;

    private static readonly int[] Widths = [13, 20, 22, 14, 14];

    public static Verb Create(Verbs verbs)
    {
        var keep = new Option<bool>("--keep") { Description = $"leave the drill's agent, app and files ({DrillHost.Root}) for a look; the next drill or boot removes them" };
        return verbs.Working(
            new Verb("drill",
                "Kills an agent at every step of a deployment and of going back, and shows that each ends on the old release or the new one. "
                + "It is an agent of the drill's own with a scratch app: the agent and the apps of this host are not touched, and everything is removed afterwards. Needs root; takes about half a minute. Exits with 1 where anything disagrees.",
                "agentctl drill", "agentctl drill --keep"),
            [keep],
            (call, cancellationToken) => RunAsync(call, call.Parsed.GetValue(keep), cancellationToken));
    }

    private static async Task<int> RunAsync(Call call, bool keep, CancellationToken cancellationToken)
    {
        DrillHost.RefuseWhereItCannotRun();
        using FileStream only = DrillHost.TakeLock();
        // Whoever closes the terminal leaves nothing behind either.
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using PosixSignalRegistration hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, signal =>
        {
            signal.Cancel = true;
            stop.Cancel();
        });
        try
        {
            return await RunAsync(call, keep, new DrillHost(call.Time), stop.Token);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            if (keep) return AgentCtl.Interrupted;
            ErrorText.Write(call.Terminal, "stopped; everything of the drill is removed", "agentctl drill", AgentCtl.Interrupted, call.Json);
            return AgentCtl.Interrupted;
        }
    }

    private static async Task<int> RunAsync(Call call, bool keep, DrillHost host, CancellationToken cancellationToken)
    {
        long start = call.Time.GetTimestamp();
        var rounds = new List<DrillRound>();
        try
        {
            call.Terminal.Progress("starting an agent for the drill");
            await DrillHost.RemoveAsync(CancellationToken.None);   // what an earlier one was told to keep, or was killed over
            await host.SetUpAsync(cancellationToken);
            if (!call.Json) call.Terminal.Line(Columns("KILLED AT", "IT WAS", "ENDED ON", "OUTCOME", "ANSWERED AFTER"));
            foreach ((string step, bool back) in Steps.Select(step => (step, false)).Concat(Undone.Select(step => (step, true))))
            {
                call.Terminal.Progress($"kill {rounds.Count + 1} of {Steps.Length + Undone.Length}: {(back ? $"going back, {step}" : step)}");
                DrillRound round;
                int tries = 0;
                do round = await host.KillAsync(step, back, cancellationToken);
                while (!round.Struck && round.Problems.Count == 0 && ++tries < Tries);   // on a busy machine a kill may come after its step
                if (round is { Killed: DrillRound.Missed, Problems.Count: 0 }) round = round with { Problems = [$"in {Tries} deployments the agent could not be killed in time: this machine is too busy, or the step does not come"] };
                rounds.Add(round);
                if (!call.Json) Show(call.Terminal, round);
            }
        }
        finally
        {
            call.Terminal.Progress(keep ? "" : "removing what the drill made");
            if (!keep) await DrillHost.RemoveAsync(CancellationToken.None);
            host.Dispose();
            call.Terminal.Progress("");
        }
        TimeSpan took = call.Time.GetElapsedTime(start);
        if (call.Json) call.Terminal.Document(writer => writer.Object(rounds, (w, all) => Write(w, all, took)));
        else Conclude(call.Terminal, rounds, took, keep);
        return (int)(rounds.All(round => round.Problems.Count == 0) ? ExitCode.Live : ExitCode.RolledBack);
    }

    private static void Show(Terminal terminal, DrillRound round)
    {
        string ended = round.EndedOn.Length == 0 ? "-" : $"{round.EndedOn}{(round.EndedOn == round.From ? ", the old" : round.EndedOn == round.To ? ", the new" : "")}";
        string line = Columns(round.Back ? $"undo {round.Step}" : round.Step, round.Killed, ended, Human.OrDash(JsonMessages.Word(round.Outcome)), round.Answered is { } answered ? Human.Span(answered) : "-");
        terminal.Line(line);
        foreach (string problem in round.Problems) terminal.Line("  ", new Piece("WRONG", Tone.Bad), $"  {problem}");
    }

    private static void Conclude(Terminal terminal, List<DrillRound> rounds, TimeSpan took, bool keep)
    {
        int wrong = rounds.Count(round => round.Problems.Count > 0);
        terminal.Line(wrong == 0
            ? new Piece($"all {rounds.Count} ended on the old release or the new one, and all that was asked agrees; {Human.Span(took)}", Tone.Good)
            : new Piece($"{wrong} of {rounds.Count} went wrong; {Human.Span(took)}", Tone.Bad));
        if (keep) terminal.Line($"kept: agentctl status --socket {DrillHost.Socket}; {DrillHost.Root}; journalctl -u {DrillHost.AgentUnit} (another drill removes it)");
    }

    private static void Write(Utf8JsonWriter writer, List<DrillRound> rounds, TimeSpan took)
    {
        writer.Array("kills", rounds, (w, round) =>
        {
            w.WriteString("step", round.Step);
            w.WriteBoolean("going_back", round.Back);
            w.WriteString("killed", round.Killed);
            w.WriteString("from_version", round.From);
            w.WriteString("to_version", round.To);
            w.Text("ended_on", round.EndedOn);
            w.Text("outcome", JsonMessages.Word(round.Outcome));
            if (round.Answered is { } answered) w.WriteNumber("answered_seconds", Math.Round(answered.TotalSeconds, 3));
            else w.WriteNull("answered_seconds");
            w.Texts("problems", round.Problems);
        });
        writer.WriteBoolean("passed", rounds.All(round => round.Problems.Count == 0));
        writer.WriteNumber("seconds", Math.Round(took.TotalSeconds, 3));
    }

    private static string Columns(params ReadOnlySpan<string> cells)
    {
        var line = new StringBuilder();
        for (int i = 0; i < cells.Length; i++) line.Append(cells[i].PadRight(Widths[i])).Append("  ");
        return line.ToString().TrimEnd();
    }
}

/// <summary>One deployment of the drill during which the agent was killed.</summary>
/// <param name="Step">Where the kill was aimed.</param>
/// <param name="Back">Aimed at the step's undo, in a deployment of a release that fails.</param>
/// <param name="Killed">Where the journal says that it struck: <c>in flip</c>, <c>after undo of stage</c>.</param>
/// <param name="From">The version that ran before.</param>
/// <param name="To">The version that was deployed.</param>
/// <param name="EndedOn">The version that <c>current</c> names; empty: none.</param>
/// <param name="Answered">From the kill until the agent answered again; null: it never did.</param>
/// <param name="Problems">What does not agree; empty: all does.</param>
internal sealed record DrillRound(
    string Step, bool Back, string Killed, string From, string To, string EndedOn, Outcome Outcome, TimeSpan? Answered, IReadOnlyList<string> Problems)
{
    /// <summary>In place of where the kill struck: the deployment was over before.</summary>
    public const string Missed = "missed";

    /// <summary>Whether the kill came where it was aimed.</summary>
    public bool Struck => Killed == (Back ? $"in undo of {Step}" : $"in {Step}");
}
