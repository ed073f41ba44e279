using System.Diagnostics;
using System.Globalization;

namespace Agent.TestHosts;

/// <summary>
/// A throwaway host: real systemd as PID 1 with D-Bus, journald and logind, in namespaces and a cgroup of its own. Its
/// disk is the machine's root file system with its own changes over it, on tmpfs; /tmp, /run and the network are its own.
/// It starts without any service enabled that is not systemd's own, and without what an agent on the machine left.
/// </summary>
/// <remarks>
/// The machine's files show through where the host has not changed them: do not change them under it, use
/// <see cref="CopyInAsync"/>. On tmpfs every write lasts at once, so a power cut here loses processes, never writes.
/// </remarks>
internal sealed class TestHost : IAsyncDisposable
{
    private static readonly TimeSpan s_bootLimit = TimeSpan.FromSeconds(120);
    private static readonly TimeSpan s_commandLimit = TimeSpan.FromSeconds(60);

    // The clock, devices, kernel modules, ports and the kernel's log belong to the machine: no process of a host gets at
    // them, not even root's. As setpriv(1) writes it.
    private const string Withheld = "-sys_time,-mknod,-sys_module,-sys_rawio,-syslog,-wake_alarm";

    private readonly HostFiles _files;
    private Process? _janitor;

    private TestHost(HostFiles files) => _files = files;

    /// <summary>Unique on the machine; what <c>testhost list</c> shows.</summary>
    public string Id => _files.Id;

    /// <summary>The host name, which other hosts of its network resolve.</summary>
    public string Name => _files.Name ?? Id;

    /// <summary>Its IPv4 address in its network; null without one.</summary>
    public string? Address => _files.Address;

    /// <summary>False after a power cut, or when it was shut down from inside.</summary>
    public bool IsRunning => _files.Init() is not null;

    /// <summary>Its PID 1, as the machine sees it.</summary>
    /// <exception cref="TestHostException">It is not running.</exception>
    public int Init => _files.Init()
        ?? throw new TestHostException(TestHostException.NoSuchHost, $"host {Id} is not running", $"testhost boot {Id}");

    /// <summary>
    /// Its root directory, seen from the machine, for reading. An absolute link below it leads back out to the machine, so
    /// write with <see cref="WriteAsync"/>.
    /// </summary>
    public string Root => $"/proc/{Init.ToString(CultureInfo.InvariantCulture)}/root";

    /// <summary>Makes a host and boots it. Leftovers of owners that are gone are removed first.</summary>
    /// <param name="name">A host name; a host that is owned may have that of another process's host.</param>
    /// <exception cref="TestHostException">The machine lacks something, the name is taken, or it did not boot; nothing is left of it then.</exception>
    public static async Task<TestHost> UpAsync(string name, TestHostOptions options, CancellationToken cancellationToken)
    {
        if (Machine.Lacks() is [_, ..] problems)
            throw new TestHostException(TestHostException.Missing, "throwaway hosts cannot run here: " + string.Join("; ", problems), "do what it says, then try again");
        await SweepAsync(cancellationToken);

        string suffix = options.Owned ? $".{Environment.ProcessId}" : "";
        string? network = options.Network is null ? null : HostFiles.Checked(options.Network) + suffix;
        string owner = HostFiles.OwnerText();
        var host = new TestHost(new HostFiles(HostFiles.Checked(name) + suffix));
        try
        {
            using (await HostFiles.LockAsync(cancellationToken))
            {
                host.Reserve(name, network, owner, options.Binds);
                host._janitor = host.StartJanitor(owner);
                await host.JoinAsync(network, cancellationToken);
            }
            await host.BootAsync(cancellationToken);
            if (!options.Owned) host.Release();
            return host;
        }
        catch
        {
            await host.DownAsync(owner);
            throw;
        }
    }

    /// <summary>A host that is there, of whichever process.</summary>
    /// <exception cref="TestHostException">There is none.</exception>
    public static TestHost Find(string id)
    {
        var files = new HostFiles(id);
        return HostFiles.All().Contains(files)
            ? new TestHost(files)
            : throw new TestHostException(TestHostException.NoSuchHost, $"there is no host {id}", $"testhost list, or: testhost up {id}");
    }

    /// <summary>Every host there is.</summary>
    public static IReadOnlyList<TestHost> All() => [.. HostFiles.All().Select(f => new TestHost(f))];

    /// <summary>Takes down the hosts whose owner is gone. Their janitors do so at once; this is for when those were ended too.</summary>
    public static async Task SweepAsync(CancellationToken cancellationToken)
    {
        foreach (HostFiles files in HostFiles.All().Where(f => !f.OwnerLives()))
            await RunScriptAsync("down.sh", [HostFiles.Hosts, files.Id, Machine.Cgroups, files.Owner ?? ""], cancellationToken);
    }

    /// <summary>Runs a command inside to its end, as root, from /, with a plain environment.</summary>
    /// <exception cref="TimeoutException">It took longer than 60 s.</exception>
    /// <exception cref="TestHostException">The host is not running.</exception>
    public Task<CommandResult> RunAsync(IReadOnlyList<string> argv, CancellationToken cancellationToken) =>
        RunAsync(argv, null, null, s_commandLimit, cancellationToken);

    /// <inheritdoc cref="RunAsync(IReadOnlyList{string}, CancellationToken)"/>
    /// <param name="input">Its standard input; null: empty.</param>
    /// <param name="environment">Added to PATH, HOME and LANG.</param>
    /// <param name="timeout">It is ended then, and this throws.</param>
    public Task<CommandResult> RunAsync(
        IReadOnlyList<string> argv, byte[]? input, IReadOnlyDictionary<string, string>? environment, TimeSpan timeout, CancellationToken cancellationToken) =>
        Tool.RunAsync($"{Id}: {string.Join(' ', argv)}", Tool.Command(Enter(argv), environment), input, timeout, cancellationToken);

    /// <summary>Runs a line of shell inside.</summary>
    public Task<CommandResult> ShellAsync(string script, CancellationToken cancellationToken) =>
        RunAsync(["sh", "-c", script], cancellationToken);

    /// <summary>Starts a command inside whose output is read line by line while it runs.</summary>
    public HostProcess Start(IReadOnlyList<string> argv) => new(Tool.Command(Enter(argv)));

    /// <summary>What to start on the machine so that <paramref name="argv"/> runs inside.</summary>
    public IReadOnlyList<string> Enter(IReadOnlyList<string> argv) =>
        ["bash", Tool.Script("enter.sh"), Init.ToString(CultureInfo.InvariantCulture), _files.Cgroup, Withheld, .. argv];

    /// <summary>Copies a file, or what is in a directory with its modes, into the host.</summary>
    /// <param name="from">On the machine.</param>
    /// <param name="to">The file or the directory in the host; its parents are made. A file keeps its execute bits.</param>
    public async Task CopyInAsync(string from, string to, CancellationToken cancellationToken)
    {
        IReadOnlyList<string> enter = Enter([]);
        string script = Directory.Exists(from)
            ? """tar -C "$1" -c . | "${@:3}" sh -c 'mkdir -p "$0" && tar -C "$0" -x --no-same-owner' "$2" """
            : """mode=$(stat --format=%a -- "$1"); "${@:3}" install -D -m "$mode" /dev/stdin "$2" <"$1" """;
        await CopyAsync(script, [from, to, .. enter], cancellationToken);
    }

    /// <summary>Copies a file, or what is in a directory, out of the host.</summary>
    /// <param name="from">In the host.</param>
    /// <param name="to">The file or the directory on the machine; its parents are made.</param>
    public async Task CopyOutAsync(string from, string to, CancellationToken cancellationToken)
    {
        const string Script = """
            if "${@:3}" test -d "$1"; then mkdir -p "$2"; "${@:3}" tar -C "$1" -c . | tar -C "$2" -x --no-same-owner
            else mkdir -p "$(dirname "$2")"; "${@:3}" cat "$1" >"$2"; fi
            """;
        await CopyAsync(Script, [from, to, .. Enter([])], cancellationToken);
    }

    /// <summary>Writes a text file, mode 644, in the host; its parents are made.</summary>
    public async Task WriteAsync(string path, string text, CancellationToken cancellationToken) =>
        (await RunAsync(["install", "-D", "-m", "644", "/dev/stdin", path], System.Text.Encoding.UTF8.GetBytes(text), null, s_commandLimit, cancellationToken)).Succeeded();

    /// <summary>Everything inside ends at once, nothing is told, nothing is shut down. The disk stays.</summary>
    public async Task PowerCutAsync(CancellationToken cancellationToken)
    {
        using (var init = Process.GetProcessById(Init)) init.Kill();
        await WaitAsync(() => !HasProcesses(), $"the processes of {Id} do not end", s_commandLimit, cancellationToken);
    }

    /// <summary>Boots the disk as it is, and waits until systemd has started everything.</summary>
    /// <exception cref="TestHostException">It is running, or did not come up; the message has the end of its console.</exception>
    public async Task BootAsync(CancellationToken cancellationToken)
    {
        if (IsRunning) throw new TestHostException(TestHostException.Failed, $"host {Id} is running", $"testhost power-cut {Id}");
        await WaitAsync(() => !HasProcesses(), $"the processes of {Id} do not end", s_commandLimit, cancellationToken);
        MakeCgroups();
        using (Process boot = Process.Start(Tool.Command(["setsid", "bash", Tool.Script("boot.sh"), "machine", _files.Directory, _files.Cgroup]))!)
        {
            long start = TimeProvider.System.GetTimestamp();
            while (true)
            {
                // A host that was started and ended needs no more waiting; the process that waits for its PID 1 is boot itself.
                if (boot.HasExited) throw NotBooted("ended while it booted");
                if (TimeProvider.System.GetElapsedTime(start) > s_bootLimit) throw NotBooted($"did not boot within {s_bootLimit.TotalSeconds:0} s");
                if (_files.Init() is not null && await BootedAsync(cancellationToken)) return;
                await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, cancellationToken);
            }
        }
    }

    /// <summary>Ends it and removes everything of it, and its network when it was the last one there. Once is enough, twice does no harm.</summary>
    /// <exception cref="TestHostException">Something of it is still there.</exception>
    public Task DownAsync() => DownAsync("");

    public async ValueTask DisposeAsync() => await DownAsync();

    /// <param name="owner">Only while the host is this owner's; empty: whosever it is.</param>
    private async Task DownAsync(string owner)
    {
        await RunScriptAsync("down.sh", [HostFiles.Hosts, Id, Machine.Cgroups, owner], CancellationToken.None);
        if (_janitor is not { } janitor) return;
        _janitor = null;
        janitor.StandardInput.Close();
        await janitor.WaitForExitAsync();
        janitor.Dispose();
    }

    private static async Task CopyAsync(string script, IReadOnlyList<string> arguments, CancellationToken cancellationToken)
    {
        var start = Tool.Command(["bash", "-euo", "pipefail", "-c", script, "copy", .. arguments]);
        (await Tool.RunAsync($"copy {arguments[0]} to {arguments[1]}", start, null, s_commandLimit, cancellationToken)).Succeeded();
    }

    private static async Task<CommandResult> RunScriptAsync(string script, IReadOnlyList<string> arguments, CancellationToken cancellationToken)
    {
        CommandResult result = await Tool.RunAsync(
            script, Tool.Command(["bash", Tool.Script(script), .. arguments]), null, s_commandLimit, cancellationToken);
        result.Succeeded();
        return result;
    }

    private static async Task WaitAsync(Func<bool> reached, string complaint, TimeSpan limit, CancellationToken cancellationToken)
    {
        long start = TimeProvider.System.GetTimestamp();
        while (!reached())
        {
            if (TimeProvider.System.GetElapsedTime(start) > limit) throw new TestHostException(TestHostException.Failed, complaint, "testhost down it");
            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, cancellationToken);
        }
    }

    // Whole or not at all: a directory that is there has an owner, or is meant to stay.
    private void Reserve(string name, string? network, string owner, IReadOnlyList<Bind> binds)
    {
        if (_files.Exists)
            throw new TestHostException(TestHostException.Failed, $"there is a host {Id} already", $"testhost down {Id}");
        var draft = new HostFiles($".new-{Id}");
        if (draft.Exists) Directory.Delete(draft.Directory, recursive: true);
        Directory.CreateDirectory(Path.Combine(draft.Disk, "etc"));
        draft.Write("owner", owner);
        draft.Write("name", name);
        draft.Write("withheld", Withheld);
        draft.Write("binds", string.Join('\n', binds.Select(b => $"{(b.Writable ? "rw" : "ro")}\t{b.From}\t{b.To}")));
        // systemd writes one itself where it finds none; this one is known from the start and stays with the disk.
        File.WriteAllText(Path.Combine(draft.Disk, "etc/machine-id"), Guid.NewGuid().ToString("N") + "\n");
        if (network is not null)
        {
            string[] taken = [.. HostFiles.All().Where(h => h.Network == network).Select(h => h.Address ?? "")];
            draft.Write("address", Enumerable.Range(2, 250).Select(n => $"10.77.0.{n}").First(a => !taken.Contains(a)));
            draft.Write("network", network);
        }
        Directory.Move(draft.Directory, _files.Directory);
    }

    private Process StartJanitor(string owner)
    {
        ProcessStartInfo start = Tool.Command(["setsid", "bash", Tool.Script("janitor.sh"), HostFiles.Hosts, Id, Machine.Cgroups, owner]);
        start.RedirectStandardInput = true;
        return Process.Start(start)!;
    }

    /// <summary>Makes the network where it is not yet there, and tells every host of it the names of all.</summary>
    private async Task JoinAsync(string? network, CancellationToken cancellationToken)
    {
        HostFiles[] members = network is null ? [_files] : [.. HostFiles.All().Where(h => h.Network == network)];
        string others = string.Concat(members.Where(m => m.Address is not null).Select(m => $"{m.Address} {m.Name}\n"));
        foreach (HostFiles member in members)
        {
            string hosts = $"127.0.0.1 localhost{(member.Address is null ? " " + member.Name : "")}\n::1 localhost\n{others}";
            if (member.Init() is not null) await new TestHost(member).WriteAsync("/etc/hosts", hosts, cancellationToken);
            else File.WriteAllText(Path.Combine(member.Disk, "etc/hosts"), hosts);
        }
        if (network is null) return;
        CommandResult bridge = await RunScriptAsync("network.sh", [Path.Combine(Machine.Cgroups, "@" + network)], cancellationToken);
        _files.Write("bridge", bridge.Output.Trim());
    }

    // Two below the host's own: cgroup2 wants processes only in leaves, so the one outside of the host that waits for its
    // PID 1 cannot sit in the cgroup that the host takes for its root. Controllers are those the machine hands down anyway.
    private void MakeCgroups()
    {
        foreach (string part in new[] { "outer", "host" }) Directory.CreateDirectory(Path.Combine(_files.Cgroup, part));
        foreach (string parent in new[] { Machine.Cgroups, _files.Cgroup })
        {
            string[] controllers = File.ReadAllText(Path.Combine(parent, "cgroup.controllers")).Split((char[])[' ', '\n'], StringSplitOptions.RemoveEmptyEntries);
            foreach (string controller in controllers) File.WriteAllText(Path.Combine(parent, "cgroup.subtree_control"), $"+{controller}");
        }
    }

    private bool HasProcesses() =>
        Directory.Exists(_files.Cgroup)
        && File.ReadLines(Path.Combine(_files.Cgroup, "cgroup.events")).Contains("populated 1");

    private async Task<bool> BootedAsync(CancellationToken cancellationToken)
    {
        try
        {
            CommandResult state = await RunAsync(["systemctl", "is-system-running", "--wait"], null, null, s_bootLimit, cancellationToken);
            return state.Output.Trim() is "running" or "degraded";
        }
        catch (TestHostException)
        {
            return false;
        }
    }

    private TestHostException NotBooted(string how)
    {
        string[] console = (_files.Read("console") ?? "").Split('\n');
        return new TestHostException(TestHostException.Failed, $"host {Id} {how}\n{string.Join('\n', console.TakeLast(20))}", "see the console above");
    }

    /// <summary>The host stays when this process ends.</summary>
    private void Release()
    {
        File.Delete(Path.Combine(_files.Directory, "owner"));
        _janitor!.StandardInput.Close();
        _janitor.WaitForExit();
        _janitor.Dispose();
        _janitor = null;
    }
}
