using System.Runtime.InteropServices;
using Agent.Artifacts.Durable;

namespace Agent.Cli.Hosts;

/// <summary>Where agentctl is called: where its files are, and how hosts are reached from here.</summary>
/// <param name="Configuration">The directory of hosts.yaml.</param>
/// <param name="Current">The working directory.</param>
/// <param name="Home">No .agentctl.yaml is looked for above it.</param>
internal sealed partial record Workplace(string Configuration, string Current, string Home)
{
    private const string ProjectFileName = ".agentctl.yaml";

    public string HostsFile => Path.Combine(Configuration, "hosts.yaml");

    /// <summary>Made anew for each connection. Told whether this is the only host that is asked: ssh may ask the person back then.</summary>
    public Func<HostEntry, bool, IDialer> Dial { get; init; } = (host, alone) => Dialers.Of(host, TimeProvider.System, alone);

    public static Workplace OfProcess()
    {
        string home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        // What is not absolute is to be ignored: XDG Base Directory Specification.
        string configuration = Environment.GetEnvironmentVariable("XDG_CONFIG_HOME") is { } named && Path.IsPathRooted(named) ? named : Path.Combine(home, ".config");
        return new Workplace(Path.Combine(configuration, "agentctl"), CurrentDirectory(), home);
    }

    /// <summary>The first .agentctl.yaml from the working directory upwards, to the home directory or <c>/</c>.</summary>
    /// <returns>Its path, null where there is none; and why one that is there is not taken.</returns>
    public (string? Path, string? Note) FindProjectFile()
    {
        for (string? directory = Current; directory is not null; directory = directory == Home ? null : Path.GetDirectoryName(directory))
        {
            string path = Path.Combine(directory, ProjectFileName);
            if (FileStatus.Of(path) is not { } status) continue;
            if (status.Type == FileStatus.FileType.Link) return (null, $"{path} is not read: it is a link");
            if (status.Type != FileStatus.FileType.File) return (null, $"{path} is not read: it is no file");
            // In a directory that all may write to, such as /tmp, it may be anybody's.
            return IsTrusted(status.Owner) ? (path, null) : (null, $"{path} is not read: it belongs to uid {status.Owner}");
        }
        return (null, null);
    }

    private static string CurrentDirectory()
    {
        try
        {
            return Environment.CurrentDirectory;
        }
        catch (IOException)
        {
            return "/";   // it has been removed
        }
    }

    private static bool IsTrusted(uint owner)
    {
        uint self = EffectiveUser();
        return owner == self || owner == 0 || (self == 0 && Environment.GetEnvironmentVariable("SUDO_UID") == $"{owner}");
    }

    [LibraryImport("libc", EntryPoint = "geteuid")]
    private static partial uint EffectiveUser();
}
