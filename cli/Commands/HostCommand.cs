namespace Agent.Cli.Commands;

/// <summary><c>agentctl host</c>: a file Host...Command for each verb below it.</summary>
internal static class HostCommand
{
    public static Verb Create(Verbs verbs) => new("host", "The agent of a host: installs it over ssh, changes its key.", "agentctl host bootstrap ssh://root@web1 --package agentd.deb", "agentctl host rotate-key")
    {
        HostBootstrapCommand.Create(verbs),
        RotateKeyCommand.Create(verbs),
    };
}
