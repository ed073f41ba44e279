namespace Agent.Cli.Commands;

/// <summary>The host itself.</summary>
internal static class HostCommand
{
    public static Verb Create(Verbs verbs) => new("host", "The agent of a host as such.", "agentctl host rotate-key")
    {
        RotateKeyCommand.Create(verbs),
    };
}
