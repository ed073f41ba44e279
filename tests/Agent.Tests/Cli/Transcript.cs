using System.Text;
using Agent.Cli;
using Agent.Cli.Hosts;
using Agent.Cli.Rendering;

namespace Agent.Tests.Cli;

/// <summary>
/// A text file with commands, what they print (stdout and stderr as they come) and their exit status:
/// <code>
/// $ agentctl status
/// ...
/// [exit 0]
/// </code>
/// Lines that begin with <c>#</c> outside of an answer are comments.
/// </summary>
/// <param name="workplace">Null: one without files.</param>
internal sealed class Transcript(string text, Workplace? workplace = null)
{
    private const string Prompt = "$ agentctl";

    /// <summary>Runs every command again.</summary>
    /// <param name="arguments">Changes the words of a command before it runs: where the agent listens.</param>
    /// <param name="places">Words that differ from run to run, and what stands for them in the text.</param>
    /// <returns>The transcript as it is now.</returns>
    public async Task<string> ReplayAsync(Func<IReadOnlyList<string>, IReadOnlyList<string>> arguments, IReadOnlyDictionary<string, string> places)
    {
        var replayed = new StringBuilder();
        bool inAnswer = false;
        foreach (string line in text.Split('\n'))
        {
            if (line.StartsWith(Prompt, StringComparison.Ordinal))
            {
                replayed.Append(line).Append('\n').Append(await RunAsync(line[Prompt.Length..], arguments, places));
                inAnswer = true;
            }
            else if (!inAnswer) replayed.Append(line).Append('\n');
            else if (line.StartsWith("[exit ", StringComparison.Ordinal)) inAnswer = false;
        }
        return replayed.ToString().TrimEnd('\n') + "\n";
    }

    private async Task<string> RunAsync(string words, Func<IReadOnlyList<string>, IReadOnlyList<string>> arguments, IReadOnlyDictionary<string, string> places)
    {
        foreach ((string place, string word) in places) words = words.Replace(word, place, StringComparison.Ordinal);
        using var output = new StringWriter { NewLine = "\n" };
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        int exit = await AgentCtl.RunAsync(
            arguments(words.Split(' ', StringSplitOptions.RemoveEmptyEntries)), Terminal.Plain(output, output), TimeProvider.System, limit.Token,
            workplace ?? new Workplace("/nonexistent", "/", "/"));
        string answer = output.ToString();
        foreach ((string place, string word) in places) answer = answer.Replace(place, word, StringComparison.Ordinal);
        if (answer.Length > 0 && !answer.EndsWith('\n')) answer += "\n";
        return $"{answer}[exit {exit}]\n";
    }
}
