using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Microsoft.AspNetCore.Http.Features;

namespace Agent.Daemon.Api;

/// <summary>Who calls.</summary>
/// <param name="By">As journal, history and audit name it: <c>uid 0 (root)</c>.</param>
/// <param name="From">Where the call came from: <c>pid 4711 on the agent's socket</c>.</param>
internal sealed record Caller(string By, string From, Role Role)
{
    /// <summary>The name alone, as configuration has it: <c>ann</c>; null: there is none.</summary>
    public string? Name { get; init; }
}

/// <summary>
/// Gives callers their role, by the groups of the process at the other end of the socket. Who may connect at all, the socket's
/// mode says; it is checked here again, as a mode can be changed by a slip of the hand.
/// </summary>
internal sealed class Callers(RoleGroups groups, AgentOptions options)
{
    /// <param name="connection">What is known of it: <see cref="PeerCredentials"/> on the Unix socket. Nothing: without a role.</param>
    public Caller Of(IFeatureCollection connection) => Of(connection.Get<PeerCredentials>());

    /// <param name="peer">Null: not known, so without a role.</param>
    public Caller Of(PeerCredentials? peer) =>
        new(peer?.ToString() ?? "somebody unknown", peer is null ? "" : $"pid {peer.Pid} on the agent's socket", groups.RoleOf(peer)) { Name = peer?.Name };

    /// <param name="wish">As in <c>may not deploy</c>.</param>
    /// <exception cref="CallerRefusedException">The caller's role is less than that.</exception>
    public void Demand(Caller caller, Role role, string wish)
    {
        if (caller.Role >= role) return;
        string has = caller.Role == Role.None ? "it has no role here" : $"it is {Roles.Word(caller.Role)}";
        IReadOnlyList<string> names = role switch { Role.Viewer => options.Viewers, Role.Deployer => options.Deployers, _ => options.Admins };
        throw new CallerRefusedException(
            $"{caller.By} may not {wish}: {has}, and that takes {Roles.Word(role)}",
            names.Count > 0 ? $"use sudo, or join the group: sudo usermod -aG {names[0]} USER, and log in again" : "use sudo");
    }
}

/// <summary>PERMISSION_DENIED: who asks may not.</summary>
internal sealed class CallerRefusedException(string what, string remedy) : Exception(what)
{
    public OperatorException Told => new(ExitCode.Refused, Message, remedy, this);
}
