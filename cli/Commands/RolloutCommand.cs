using System.CommandLine;

namespace Agent.Cli.Commands;

internal static class RolloutCommand
{
    public static Verb Create(Verbs verbs) => new("rollout", "Shows a rollout, stops it, or goes on with it, from any machine that reaches its hosts.", "agentctl rollout show r20261121-1103-7f3a9c")
    {
        RolloutShowCommand.Create(verbs),
        RolloutPauseCommand.Create(verbs),
        RolloutResumeCommand.Create(verbs),
        RolloutAbortCommand.Create(verbs),
    };

    public static Argument<string> Id() => new("ID") { Description = "the rollout, as deploy and rollouts name it" };
}
