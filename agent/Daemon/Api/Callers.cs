using Agent.Artifacts;
using Microsoft.Extensions.Logging;

namespace Agent.Daemon.Api;

/// <summary>
/// Who may change what runs: root, and members of the group that the socket belongs to. The socket's mode says the same;
/// it is checked here again, as a mode can be changed by a slip of the hand.
/// </summary>
/// <param name="group">The group's id; null: only root.</param>
internal sealed class Callers(uint? group, ILogger<Callers> logger)
{
    /// <summary>The group that may use the API.</summary>
    public const string GroupName = "agentd";

    /// <param name="caller">Null: not known, so not allowed.</param>
    /// <param name="wish">For the refusal and the log: <c>deploy</c>.</param>
    /// <returns>Who it is, for the journal.</returns>
    /// <exception cref="CallerRefusedException">Not allowed.</exception>
    public string Demand(PeerCredentials? caller, string wish)
    {
        if (caller is not null && MayChange(caller)) return caller.ToString();
        string who = caller?.ToString() ?? "somebody unknown";
        logger.CallerRefused(who, wish);
        throw new CallerRefusedException($"{who} may not {wish}: only root and the group {GroupName} may");
    }

    private bool MayChange(PeerCredentials caller) => caller.Uid == 0 || (group is { } allowed && caller.IsMember(allowed));
}

/// <summary>PERMISSION_DENIED: who asks may not.</summary>
internal sealed class CallerRefusedException(string what) : Exception(what)
{
    public OperatorException Told => new(ExitCode.Refused, Message, $"use sudo, or join the group: sudo usermod -aG {Callers.GroupName} $USER, and log in again", this);
}
