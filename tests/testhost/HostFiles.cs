using System.Globalization;
using System.Text.RegularExpressions;

namespace Agent.TestHosts;

/// <summary>
/// What is known of one host outside of it: a directory on tmpfs with its disk and a few one-line files, and a cgroup
/// with all its processes. Nothing else is kept, so nothing can disagree.
/// </summary>
/// <param name="Id">Unique on the machine: the name, and for a host of a test the test's process id.</param>
internal sealed partial record HostFiles(string Id)
{
    /// <summary>The directory of all hosts: root's alone, since /dev/shm is everybody's.</summary>
    public const string Hosts = "/dev/shm/agentd-testhosts";

    public string Directory => Path.Combine(Hosts, Id);

    /// <summary>What was written to the disk, as files over those of the machine.</summary>
    public string Disk => Path.Combine(Directory, "upper");

    public string Cgroup => Path.Combine(Machine.Cgroups, Id);

    public bool Exists => System.IO.Directory.Exists(Directory);

    /// <summary>The name that the host has for itself and others.</summary>
    public string? Name => Read("name");

    public string? Network => Read("network");

    public string? Address => Read("address");

    /// <summary>The process that the host ends with, as <see cref="OwnerText"/> wrote it; null: it stays until it is taken down.</summary>
    public string? Owner => Read("owner");

    /// <summary>The process id of the host's PID 1 as the machine sees it; null when it is not running.</summary>
    public int? Init()
    {
        string host = Path.Combine(Cgroup, "host");
        if (!System.IO.Directory.Exists(host)) return null;
        try
        {
            foreach (string procs in System.IO.Directory.EnumerateFiles(host, "cgroup.procs", SearchOption.AllDirectories))
            {
                foreach (string pid in File.ReadLines(procs))
                {
                    // Two levels, and the inner one is 1: our PID namespace and the host's (proc_pid_status(5), NSpid).
                    string? line = File.ReadLines($"/proc/{pid}/status").FirstOrDefault(l => l.StartsWith("NSpid:", StringComparison.Ordinal));
                    if (line?.Split('\t') is [_, _, "1"]) return int.Parse(pid, CultureInfo.InvariantCulture);
                }
            }
        }
        catch (IOException)
        {
            // It ended while we looked.
        }
        return null;
    }

    public string? Read(string file)
    {
        try
        {
            return File.ReadAllText(Path.Combine(Directory, file)).TrimEnd('\n');
        }
        catch (IOException)
        {
            return null;
        }
    }

    public void Write(string file, string text) => File.WriteAllText(Path.Combine(Directory, file), text + "\n");

    /// <summary>All there are, of tests and of people.</summary>
    public static IReadOnlyList<HostFiles> All() => !System.IO.Directory.Exists(Hosts)
        ? []
        : [.. new DirectoryInfo(Hosts).EnumerateDirectories().Where(d => d.Name[0] != '.').OrderBy(d => d.Name, StringComparer.Ordinal).Select(d => new HostFiles(d.Name))];

    /// <summary>This process, so that another one with its id later is not taken for it, and this host of it.</summary>
    public static string OwnerText() => $"{Environment.ProcessId} {StartTime(Environment.ProcessId)} {Guid.NewGuid():N}";

    /// <summary>False when the host had an owner that is gone.</summary>
    public bool OwnerLives()
    {
        string[]? fields = Owner?.Split(' ');
        return fields is not [var pid, var started, _]
            || StartTime(int.Parse(pid, CultureInfo.InvariantCulture)) == started;
    }

    // proc_pid_stat(5): the 22nd field; the second one is in parentheses and may hold anything.
    private static string? StartTime(int pid)
    {
        try
        {
            string stat = File.ReadAllText($"/proc/{pid}/stat");
            return stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[19];
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <exception cref="TestHostException">Not a name that a machine, a directory and a cgroup can have.</exception>
    public static string Checked(string name) => NamePattern().IsMatch(name)
        ? name
        : throw new TestHostException(2, $"'{name}' is not a name for a host or a network", "use a letter, then letters, digits and dashes, 30 at most, all lower case");

    [GeneratedRegex("^[a-z][a-z0-9-]{0,29}$")]
    private static partial Regex NamePattern();

    /// <summary>Makes the directory of all hosts and holds the one lock over making and removing hosts until disposed.</summary>
    /// <exception cref="TestHostException">The directory is somebody else's.</exception>
    public static async Task<IDisposable> LockAsync(CancellationToken cancellationToken)
    {
        string path = Path.Combine(Hosts, ".lock");
        for (; ; )
        {
            System.IO.Directory.CreateDirectory(Hosts, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            CommandResult owner = await Tool.RunAsync(
                "stat", Tool.Command(["stat", "--format=%u %a %F", Hosts]), null, TimeSpan.FromSeconds(10), cancellationToken);
            if (owner.Exit == 0 && owner.Output != "0 700 directory\n")
                throw new TestHostException(TestHostException.Failed, $"{Hosts} is not root's alone", $"look at it, then: rm -r {Hosts}");
            try
            {
                // .NET takes FileShare.None as flock(2) LOCK_EX, which the scripts take too. Who removes the last host
                // removes the lock: then the file that is open is not the lock any more.
                var file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
                if (new FileInfo($"/proc/self/fd/{file.SafeFileHandle.DangerousGetHandle()}").LinkTarget == path) return file;
                await file.DisposeAsync();
            }
            catch (IOException)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, cancellationToken);
            }
        }
    }
}
