namespace Agent.Cli.Commands;

/// <summary><c>agentctl host</c>: a file Host...Command for each verb below it.</summary>
internal static class HostCommand
{
    public static Verb Create(Verbs verbs) => new("host", "The agent on another host: installs it.", "agentctl host bootstrap ssh://root@web1 --package agentd.deb")
    {
        HostBootstrapCommand.Create(verbs),
    };
}
