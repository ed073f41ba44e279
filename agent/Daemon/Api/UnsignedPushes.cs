using Agent.Artifacts;
using Agent.Daemon.Configuration;
using IConfiguration = Agent.Daemon.Configuration.IConfiguration;

namespace Agent.Daemon.Api;

/// <summary>Whom the operator lets bring which app here without signatures.</summary>
internal sealed class UnsignedPushes(IConfiguration configuration)
{
    /// <exception cref="CallerRefusedException">The operator does not let this caller do that.</exception>
    public void Demand(Caller caller, AppName app)
    {
        UnsignedPushOptions? let = configuration.Agent.UnsignedPush;
        string remedy = $"push a signed release; or, on a host for development, name {app} and {caller.Name ?? "the caller"} below unsigned_push in /etc/agentd/agentd.yaml";
        if (let?.Apps.Contains(app.Value) != true) throw new CallerRefusedException($"this host takes no release of {app} without signatures", remedy);
        if (caller.Name is not { } name || !let.By.Contains(name)) throw new CallerRefusedException($"{caller.By} may not bring releases of {app} here without signatures", remedy);
    }
}
