using Agent.Artifacts;

namespace Agent.Cli.Hosts;

/// <summary>From the name of a host to a connection to its agent.</summary>
internal static class Targets
{
    public const string Local = "local";
    public const string DefaultSocket = "/run/agentd/agentd.sock";

    /// <param name="socket">Null: <c>AGENTD_SOCKET</c>, else the default.</param>
    /// <exception cref="OperatorException">Not a host that can be reached yet.</exception>
    public static AgentConnection Connect(string host, string? socket, TimeProvider time) => host == Local
        ? new AgentConnection(socket ?? (Environment.GetEnvironmentVariable("AGENTD_SOCKET") is { Length: > 0 } path ? path : DefaultSocket), time)
        : throw new OperatorException(ExitCode.Usage, $"--host {host} does not work yet: only '{Local}' does", $"leave --host out and run agentctl on that host: ssh {host} agentctl ...");
}
