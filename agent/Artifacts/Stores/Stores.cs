using Agent.Artifacts.Durable;

namespace Agent.Artifacts.Stores;

/// <summary>Opens a store by what the operator typed: a directory, or an http(s) URL.</summary>
internal static class Stores
{
    public static IStoreReader Open(string location) => Open(location, new Disk(), TimeProvider.System);

    /// <exception cref="OperatorException">It is neither (<see cref="ExitCode.Usage"/>). Nothing is contacted yet.</exception>
    public static IStoreReader Open(string location, IDisk disk, TimeProvider time) =>
        Uri.TryCreate(location, UriKind.Absolute, out Uri? url) && url.Scheme is "http" or "https" ? new HttpStore(url, time)
        : OpenDirectory(location, disk, time);

    public static IStoreWriter OpenWriter(string location) => OpenWriter(location, new Disk(), TimeProvider.System);

    /// <exception cref="OperatorException">It cannot be written to (<see cref="ExitCode.Usage"/>).</exception>
    public static IStoreWriter OpenWriter(string location, IDisk disk, TimeProvider time) => Writable(location, disk, time);

    /// <exception cref="OperatorException">As <see cref="OpenWriter(string, IDisk, TimeProvider)"/>.</exception>
    public static IPrivateStore OpenPrivate(string location, IDisk disk, TimeProvider time) => Writable(location, disk, time);

    private static DirectoryStore Writable(string location, IDisk disk, TimeProvider time) => location.StartsWith("http", StringComparison.OrdinalIgnoreCase) && location.Contains("://", StringComparison.Ordinal)
        ? throw new OperatorException(ExitCode.Usage, $"{location} can only be read", "name the directory that the web server serves")
        : OpenDirectory(location, disk, time);

    private static DirectoryStore OpenDirectory(string location, IDisk disk, TimeProvider time) => location.Length == 0 || location.Contains("://", StringComparison.Ordinal)
        ? throw new OperatorException(ExitCode.Usage, $"'{location}' is no store", "name a directory, or an http:// or https:// URL")
        : new DirectoryStore(Path.GetFullPath(location), disk, time);
}
