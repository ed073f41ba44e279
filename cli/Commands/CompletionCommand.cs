using System.CommandLine;
using System.Reflection;
using Agent.Artifacts;

namespace Agent.Cli.Commands;

/// <summary><c>completion SHELL</c>: a small script that asks <c>agentctl complete</c> whenever Tab is pressed.</summary>
internal static class CompletionCommand
{
    private static readonly string[] Shells = ["bash", "zsh", "fish"];

    public static Verb Create(Verbs verbs)
    {
        var shell = new Argument<string>("SHELL") { Description = "bash, zsh or fish", HelpName = "bash|zsh|fish" };
        shell.CompletionSources.Add(Shells);
        return verbs.Working(
            new Verb("completion", "Prints the script that makes a shell complete agentctl: commands, options, hosts, groups, apps. Packages install it; to have it for yourself: source <(agentctl completion bash).",
                "agentctl completion bash", "agentctl completion fish"),
            [shell],
            (call, _) =>
            {
                string name = call.Parsed.GetRequiredValue(shell);
                if (!Shells.Contains(name)) throw new OperatorException(ExitCode.Usage, $"there is no completion for '{name}'", $"agentctl completion {string.Join('|', Shells)}");
                if (call.Json) throw new OperatorException(ExitCode.Usage, "a completion script is no JSON", "take --output json out");
                foreach (string line in Script(name).TrimEnd('\n').Split('\n')) call.Terminal.Raw(line);
                return Task.FromResult(0);
            });
    }

    /// <summary>For the scripts: what could stand where the cursor is, one a line. Asks no agent.</summary>
    public static Verb CreateComplete(Verbs verbs)
    {
        var position = new Option<int>("--position") { Description = "of the cursor, in characters of the line", HelpName = "COUNT" };
        var typed = new Argument<string>("LINE") { Description = "the command line so far, with agentctl" };
        Verb verb = verbs.Working(
            new Verb("complete", "For completion scripts: prints what could stand where the cursor is.", "agentctl complete --position 12 -- agentctl-sta"),
            [position, typed],
            (call, _) =>
            {
                string line = call.Parsed.GetRequiredValue(typed);
                int cursor = call.Parsed.GetResult(position) is null ? line.Length : Math.Clamp(call.Parsed.GetValue(position), 0, line.Length);
                foreach (string word in Completion.Of(call.Parsed.RootCommandResult.Command, line[..cursor])) call.Terminal.Raw(word);
                return Task.FromResult(0);
            });
        verb.Hidden = true;
        return verb;
    }

    private static string Script(string shell)
    {
        using Stream stream = Assembly.GetExecutingAssembly().GetManifestResourceStream($"completion.{shell}") ?? throw new InvalidOperationException($"no completion for {shell} in the program");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
