using System.CommandLine;
using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class DiffCommand
{
    public static Verb Create(Verbs verbs)
    {
        var a = new Argument<string?>("A") { Description = "a version or a deployment; left out: what ran before", Arity = ArgumentArity.ZeroOrOne };
        var b = new Argument<string?>("B") { Description = "left out: what runs", Arity = ArgumentArity.ZeroOrOne };
        return verbs.Asking(
            new Verb("diff", "Shows what differs between two generations that are on the host: files, units, environment.", "agentctl diff", "agentctl diff v1.1.0 v1.2.0 --app shop"),
            [a, b, verbs.App],
            (call, cancellationToken) => RunAsync(
                call, new DiffGenerationsRequest { App = call.App, A = call.Parsed.GetValue(a) ?? "", B = call.Parsed.GetValue(b) ?? "" }, cancellationToken));
    }

    private static async Task<int> RunAsync(AgentCall call, DiffGenerationsRequest request, CancellationToken cancellationToken)
    {
        DiffGenerationsResponse difference = await call.Agent.AskAsync((client, options) => client.DiffGenerationsAsync(request, options), cancellationToken);
        if (call.Json) call.Terminal.Document(writer => writer.Object(difference, JsonMessages.Diff));
        else Write(call.Terminal, difference);
        return 0;
    }

    private static void Write(Terminal terminal, DiffGenerationsResponse difference)
    {
        terminal.Line(new Piece($"{difference.A} -> {difference.B}", Tone.Strong));
        Write(terminal, "files", difference.Files);
        Write(terminal, "units", difference.Units);
        Write(terminal, "environment", difference.Environment);
        if (difference.Files.Count + difference.Units.Count + difference.Environment.Count == 0) terminal.Line("no difference");
    }

    private static void Write(Terminal terminal, string heading, IReadOnlyList<Difference> differences)
    {
        if (differences.Count == 0) return;
        terminal.Line(new Piece(heading, Tone.Strong));
        foreach (Difference one in differences)
        {
            Tone tone = one.Kind switch { Difference.Types.Kind.Added => Tone.Good, Difference.Types.Kind.Removed => Tone.Bad, _ => Tone.Plain };
            bool lines = one.Before.Contains('\n', StringComparison.Ordinal) || one.After.Contains('\n', StringComparison.Ordinal);
            string values = lines ? "" : (one.Before.Length, one.After.Length) switch
            {
                (0, 0) => "",
                (0, _) => $"  {one.After}",
                (_, 0) => $"  {one.Before}",
                _ => $"  {one.Before} -> {one.After}",
            };
            terminal.Line("  ", new Piece($"{JsonMessages.Word(one.Kind),-7}", tone), $"  {one.Name}{values}");
            if (!lines) continue;
            string[] before = one.Before.Split('\n'), after = one.After.Split('\n');
            foreach (string line in before.Except(after)) terminal.Line("    ", new Piece($"- {line}", Tone.Bad));
            foreach (string line in after.Except(before)) terminal.Line("    ", new Piece($"+ {line}", Tone.Good));
        }
    }
}
