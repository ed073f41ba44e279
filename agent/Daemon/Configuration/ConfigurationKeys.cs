namespace Agent.Daemon.Configuration;

/// <summary>Every key that a file may hold. docs/reference/configuration.md explains each; a test compares.</summary>
internal static class ConfigurationKeys
{
    public static readonly string[] Agent = ["store", "poll", "releases", "data", "socket", "units"];
    public static readonly string[] App = ["channel", "versions", "keep", "environment", "command", "user", "units", "checks", "gate"];
    public static readonly string[] Release = ["command", "user", "units", "environment", "checks", "gate"];
    public static readonly string[] Unit = ["name", "path"];
    public static readonly string[] Check = ["http", "tcp", "status", "name", "interval", "timeout", "healthy", "unhealthy"];
    public static readonly string[] Gate = ["start", "stable"];
}
