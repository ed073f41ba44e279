using Agent.Artifacts;

namespace Agent.Cli.Hosts;

/// <summary>From what <c>--host</c> names to connections.</summary>
internal static class Targets
{
    public const string Local = "local";

    /// <summary>The hosts that are meant, each once, in the order of the file.</summary>
    /// <param name="wanted">What <c>--host</c> was given.</param>
    /// <param name="socket">For the local agent; null: the usual one.</param>
    /// <exception cref="OperatorException">No such host (<see cref="ExitCode.Usage"/>).</exception>
    public static IReadOnlyList<HostEntry> Select(string wanted, string? socket) => wanted == Local
        ? [new HostEntry(Local, new HostAddress.Local(socket))]
        : wanted.Contains("://", StringComparison.Ordinal) ? [new HostEntry(wanted, HostAddress.Parse(wanted))]
        : throw new OperatorException(ExitCode.Usage, $"--host {wanted} does not work yet: only '{Local}' does", $"leave --host out and run agentctl on that host: ssh {wanted} agentctl ...");

    /// <param name="alone">The only host that is asked: ssh may ask the person back.</param>
    public static AgentConnection Connect(HostEntry host, TimeProvider time, bool alone = true) => new(host, Dialers.Of(host, time, alone), time);
}
