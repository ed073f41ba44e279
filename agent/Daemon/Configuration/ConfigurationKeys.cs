namespace Agent.Daemon.Configuration;

/// <summary>Every key that a file may hold. docs/reference/configuration.md explains each; a test compares.</summary>
internal static class ConfigurationKeys
{
    public static readonly string[] Agent = ["store", "poll", "history", "roles", "unsigned_push", "listen", "releases", "data", "socket", "units"];
    public static readonly string[] Roles = ["viewer", "deployer", "admin"];
    public static readonly string[] UnsignedPush = ["apps", "by"];
    public static readonly string[] Listen = ["address", "certificate", "key", "client_ca", "client_roles", "revoked"];

    /// <summary>Of a process that the agent renders a unit for; at the top they belong to <c>command</c>.</summary>
    public static readonly string[] Settings = ["restart", "notify", "memory", "cpu", "tasks", "stop", "allow"];

    public static readonly string[] Process = ["command", "user", "schedule", .. Settings];

    public static readonly string[] App =
    [
        "channel", "versions", "max_version", "keep", "keep_free", "deadlines", "environment", "secrets", "credentials", "database", "user", "command", .. Settings,
        "processes", "units", "shared", "migrations", "hooks", "checks", "gate", "watch",
    ];

    public static readonly string[] Release = ["command", "user", .. Settings, "processes", "units", "environment", "shared", "templates", "migrations", "hooks", "checks", "gate"];
    public static readonly string[] Database = ["url", "admin", "environment", "lock_timeout", "lock_retries", "statement_timeout", "wait", "restore_points"];
    public static readonly string[] RestorePoints = ["directory", "store", "keep", "max_age", "max_size", "jobs", "command", "restore_command"];
    public static readonly string[] Migrations = ["directory", "command", "files", "phase", "timeout", "memory", "compatible_with"];
    public static readonly string[] Unit = ["name", "path"];
    public static readonly string[] Shared = ["directories", "files"];
    public static readonly string[] Hook = ["command", "user", "timeout", "memory", "on_failure"];

    public static readonly string[] Check =
        ["http", "tcp", "socket", "command", "unit", "status", "body", "headers", "request_headers", "name", "interval", "timeout", "healthy", "unhealthy"];

    public static readonly string[] Gate = ["start", "stable"];

    /// <summary>Steps of a deployment, in their order.</summary>
    public static readonly string[] Steps = ["fetch", "stage", "prepare", "backup", "migrate", "flip", "restart", "gate", "contract", "sweep"];

    /// <summary>What a rendered unit may be allowed to do by <c>allow</c>.</summary>
    public static readonly string[] Walls =
        ["home", "devices", "tmp", "writable-system", "namespaces", "realtime", "privileges", "any-address-family", "low-ports"];
}
