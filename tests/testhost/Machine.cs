namespace Agent.TestHosts;

/// <summary>What the machine that throwaway hosts run on must have.</summary>
internal static class Machine
{
    /// <summary>The cgroup that holds those of all hosts.</summary>
    /// <exception cref="TestHostException">There is no cgroup2 mount.</exception>
    public static string Cgroups => CgroupMount() is { } mount
        ? Path.Combine(mount, "agentd-testhosts")
        : throw new TestHostException(TestHostException.Missing, "no cgroup2 file system is mounted", CgroupRemedy);

    private const string CgroupRemedy = "mount one: mount -t cgroup2 cgroup2 /sys/fs/cgroup";

    /// <summary>Everything that this machine lacks, each with what to do about it; empty where hosts can run.</summary>
    public static IReadOnlyList<string> Lacks() => [.. Problems()];

    private static IEnumerable<string> Problems()
    {
        if (!Environment.IsPrivilegedProcess)
        {
            yield return "not root: run it with sudo";
            yield break;
        }
        if (!File.Exists("/lib/systemd/systemd")) yield return "no systemd: apt-get install systemd";
        if (!File.Exists("/usr/bin/dbus-daemon") && !File.Exists("/usr/bin/dbus-broker")) yield return "no D-Bus daemon: apt-get install dbus";
        foreach ((string program, string package) in new[]
        {
            ("bash", "bash"), ("unshare", "util-linux"), ("nsenter", "util-linux"), ("setpriv", "util-linux"), ("pivot_root", "util-linux"),
            ("flock", "util-linux"), ("script", "bsdutils"), ("tar", "tar"), ("ip", "iproute2"), ("hostname", "hostname"),
        })
        {
            if (!new[] { "/usr/sbin", "/usr/bin", "/sbin", "/bin" }.Any(d => File.Exists(Path.Combine(d, program))))
                yield return $"no {program}: apt-get install {package}";
        }
        if (!File.ReadLines("/proc/filesystems").Any(l => l.EndsWith("\toverlay", StringComparison.Ordinal)) && !Directory.Exists("/sys/module/overlay"))
            yield return "no overlay file system in this kernel: modprobe overlay";
        if (CgroupMount() is null) yield return $"no cgroup2 file system is mounted: {CgroupRemedy}";
        else if (Mounts().First(m => m.Type == "cgroup2").ReadOnly) yield return "cgroup2 is mounted read-only: in a container, run it privileged";
        foreach (string part in new[] { "/usr", "/etc", "/var" })
        {
            if (Mounts().Any(m => m.Point == part)) yield return $"{part} is a file system of its own, which a throwaway host would not see: use a machine with one file system";
        }
    }

    /// <summary>Where cgroup2 is mounted: /sys/fs/cgroup, or /sys/fs/cgroup/unified beside the older kind. Null: nowhere.</summary>
    private static string? CgroupMount() => Mounts().Where(m => m.Type == "cgroup2").Select(m => m.Point).FirstOrDefault();

    // proc_pid_mountinfo(5): the mount point is the fifth field, its options the sixth, the type the first after the lone dash.
    private static IEnumerable<(string Point, string Type, bool ReadOnly)> Mounts() =>
        from line in File.ReadLines("/proc/self/mountinfo")
        let fields = line.Split(' ')
        let dash = Array.IndexOf(fields, "-")
        where dash > 5
        select (fields[4], fields[dash + 1], fields[5].Split(',').Contains("ro"));
}
