using System.Collections.Frozen;
using Agent.Daemon.Configuration;
using Agent.Daemon.Systemd;

namespace Agent.Daemon.Api;

/// <summary>What a caller may do; each includes the ones before it.</summary>
internal enum Role
{
    /// <summary>Nothing at all.</summary>
    None,

    /// <summary>Look.</summary>
    Viewer,

    /// <summary>Also change what runs, and see the configuration.</summary>
    Deployer,

    /// <summary>Also what an operator's setting or a quarantine forbids, and the audit records.</summary>
    Admin,
}

/// <summary>What a call takes.</summary>
/// <param name="Wish">As in <c>may not deploy</c>.</param>
internal sealed record Demand(Role Role, string Wish);

/// <summary>Who may call what: the one place that says it. A call that is not named here is for admins.</summary>
internal static class Roles
{
    /// <summary>By the names of the methods of agent.v1.</summary>
    public static readonly FrozenDictionary<string, Demand> Demands = new Dictionary<string, Demand>
    {
        ["GetVersion"] = new(Role.Viewer, "ask for the version"),
        ["GetStatus"] = new(Role.Viewer, "see the status"),
        ["GetHealth"] = new(Role.Viewer, "see the health"),
        ["ListDeployments"] = new(Role.Viewer, "see the history"),
        ["GetDeployment"] = new(Role.Viewer, "see why a deployment failed"),
        ["ListReleases"] = new(Role.Viewer, "see the releases"),
        ["DiffGenerations"] = new(Role.Viewer, "see what differs"),
        ["WatchDeployment"] = new(Role.Viewer, "watch a deployment"),
        ["ReadLogs"] = new(Role.Viewer, "read logs"),
        ["CheckConfiguration"] = new(Role.Viewer, "check the configuration"),
        ["ListRollouts"] = new(Role.Viewer, "see the rollouts"),
        ["KeepRollout"] = new(Role.Deployer, "drive a rollout"),
        ["Deploy"] = new(Role.Deployer, "deploy"),
        ["Push"] = new(Role.Deployer, "push"),
        ["Rollback"] = new(Role.Deployer, "roll back"),
        ["CancelDeployment"] = new(Role.Deployer, "cancel a deployment"),
        ["Hold"] = new(Role.Deployer, "hold"),
        ["Resume"] = new(Role.Deployer, "resume"),
        ["Pin"] = new(Role.Deployer, "pin"),
        ["Unpin"] = new(Role.Deployer, "unpin"),
        ["Unquarantine"] = new(Role.Deployer, "unquarantine"),
        ["Poll"] = new(Role.Deployer, "poll"),
        ["ShowConfiguration"] = new(Role.Deployer, "see the configuration"),
        ["PlanMigrations"] = new(Role.Viewer, "see what migrations would do"),
        ["ListMigrations"] = new(Role.Viewer, "see the migrations"),
        ["ListRestorePoints"] = new(Role.Viewer, "see the restore points"),
        ["GetDatabaseStats"] = new(Role.Viewer, "see the database's figures"),
        ["TakeRestorePoint"] = new(Role.Deployer, "take a restore point"),
        ["VerifyRestorePoint"] = new(Role.Deployer, "verify a restore point"),
        ["RehearseMigrations"] = new(Role.Deployer, "rehearse migrations"),
        ["ForgetHost"] = new(Role.Admin, "forget a host"),
        ["RestoreDatabase"] = new(Role.Admin, "restore the database"),
        ["DownloadRestorePoint"] = new(Role.Admin, "download a restore point"),
        ["CreateDatabase"] = new(Role.Admin, "make a database"),
        ["GetDatabaseUrl"] = new(Role.Viewer, "see where the database is"),
        ["CreatePairingCode"] = new(Role.Admin, "let callers in"),
        ["Pair"] = new(Role.None, "pair"),   // the code decides
        ["ListClients"] = new(Role.Admin, "see who may call over the network"),
        ["RemoveClient"] = new(Role.Admin, "remove a caller"),
        ["RenewClient"] = new(Role.Viewer, "renew its key"),
        ["GetIdentity"] = new(Role.Viewer, "ask for the agent's key"),
        ["RotateIdentity"] = new(Role.Admin, "change the agent's key"),
        ["ListAudit"] = new(Role.Admin, "see the audit records"),
    }.ToFrozenDictionary();

    /// <param name="path">As gRPC names it: <c>/agent.v1.AgentService/Deploy</c>.</param>
    public static Demand Of(string path)
    {
        string method = path[(path.LastIndexOf('/') + 1)..];
        return Demands.GetValueOrDefault(method) ?? new Demand(Role.Admin, $"call {method}");
    }

    /// <returns>None: no word of these.</returns>
    public static Role Parse(string word) => word switch
    {
        "viewer" => Role.Viewer,
        "deployer" => Role.Deployer,
        "admin" => Role.Admin,
        _ => Role.None,
    };

    public static string Word(Role role) => role switch
    {
        Role.Viewer => "viewer",
        Role.Deployer => "deployer",
        Role.Admin => "admin",
        _ => "",
    };
}

/// <summary>The host's groups whose members have a role, by number; as they were when the agent started.</summary>
/// <param name="Missing">Groups that are configured and that this host does not have.</param>
internal sealed record RoleGroups(
    IReadOnlyList<uint> Viewers, IReadOnlyList<uint> Deployers, IReadOnlyList<uint> Admins, IReadOnlyList<(string Group, Role Role)> Missing)
{
    /// <summary>Every group with a role, each once; the one that owns the socket first.</summary>
    public IReadOnlyList<uint> All => [.. Deployers.Concat(Admins).Concat(Viewers).Distinct()];

    public static RoleGroups Of(AgentOptions options)
    {
        var missing = new List<(string, Role)>();
        return new RoleGroups(Known(options.Viewers, Role.Viewer), Known(options.Deployers, Role.Deployer), Known(options.Admins, Role.Admin), missing);

        uint[] Known(IReadOnlyList<string> names, Role role)
        {
            var found = new List<uint>();
            foreach (string name in names)
            {
                if (Accounts.GroupOf(name) is { } gid) found.Add(gid);
                else missing.Add((name, role));
            }
            return [.. found];
        }
    }

    public Role RoleOf(PeerCredentials? peer) => peer switch
    {
        null => Role.None,
        { Uid: 0 } => Role.Admin,
        _ when Admins.Any(peer.IsMember) => Role.Admin,
        _ when Deployers.Any(peer.IsMember) => Role.Deployer,
        _ when Viewers.Any(peer.IsMember) => Role.Viewer,
        _ => Role.None,
    };
}
