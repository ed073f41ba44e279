using System.Globalization;
using Agent.TestHosts;

namespace Agent.SystemTests.Fleet;

/// <summary>sshd on a throwaway host, and who may come in. Nothing of the machine's own ssh is used or changed.</summary>
internal static class SshHost
{
    private const string Configuration = "/etc/ssh/test_sshd_config", HostKey = "/etc/ssh/test_host_key", Accepted = "/etc/ssh/test_accepted_keys", Unit = "sshd-test";

    /// <summary>Where tests/fetch-sshd.sh unpacks sshd when the machine has none.</summary>
    private static readonly string s_unpacked = Unpacked();

    /// <summary>Null where there is an sshd to be had; else what to do about it.</summary>
    public static string? Lacks() =>
        File.Exists("/usr/sbin/sshd") || Directory.Exists(s_unpacked) ? null : "there is no sshd: run tests/fetch-sshd.sh";

    /// <summary>Starts it, now and at every boot, with a host key of its own; whoever has one of <paramref name="keys"/> comes in, as any user that has a shell.</summary>
    /// <param name="keys">Public keys, as <see cref="MakeKeyAsync"/> returns them.</param>
    /// <param name="more">Lines of sshd_config.</param>
    public static async Task StartAsync(TestHost host, IReadOnlyList<string> keys, CancellationToken cancellationToken, string more = "")
    {
        if (!File.Exists("/usr/sbin/sshd")) await host.CopyInAsync(s_unpacked, "/opt/sshd", cancellationToken);
        await host.WriteAsync(Accepted, string.Join('\n', keys) + "\n", cancellationToken);
        await host.WriteAsync(Configuration, $"""
            HostKey {HostKey}
            AuthorizedKeysFile {Accepted}
            PidFile none
            UsePAM no
            PasswordAuthentication no
            KbdInteractiveAuthentication no
            PermitRootLogin prohibit-password
            {more}
            """ + "\n", cancellationToken);
        await host.WriteAsync($"/etc/systemd/system/{Unit}.service", $"""
            [Service]
            RuntimeDirectory=sshd
            Environment=LD_LIBRARY_PATH=/opt/sshd/lib
            ExecStart=/usr/sbin/sshd -D -e -f {Configuration}
            KillMode=process
            [Install]
            WantedBy=multi-user.target
            """, cancellationToken);
        await RunAsync(host, $"""
            if [ ! -x /usr/sbin/sshd ]; then
                install -D "$(find /opt/sshd -name sshd -path '*/sbin/*')" /usr/sbin/sshd
                mkdir -p /opt/sshd/lib; find /opt/sshd -name 'libwrap.so.*' -exec cp -P -t /opt/sshd/lib '{"{}"}' +
            fi
            id sshd >/dev/null 2>&1 || useradd --system --home-dir /run/sshd --shell /usr/sbin/nologin sshd
            [ -e {HostKey} ] || ssh-keygen -q -t ed25519 -N '' -f {HostKey}
            systemctl daemon-reload
            systemctl enable --quiet {Unit}
            systemctl restart {Unit}
            for _ in $(seq 100); do ! ss -Hltn 'sport = :22' | grep -q . || exit 0; sleep 0.1; done
            echo 'sshd does not listen'; journalctl -u {Unit} --no-pager | tail -5; exit 1
            """, cancellationToken);
    }

    /// <summary>A user with a home and a shell, in these groups, whom sshd lets in.</summary>
    public static Task AddUserAsync(TestHost host, string user, string groups, CancellationToken cancellationToken) =>
        RunAsync(host, $"useradd --create-home --shell /bin/bash --password '*' {(groups.Length > 0 ? $"--groups {groups} " : "")}{user}", cancellationToken);

    /// <summary>Makes root's key on a host, once.</summary>
    /// <returns>Its public half.</returns>
    public static Task<string> MakeKeyAsync(TestHost host, CancellationToken cancellationToken) =>
        RunAsync(host, "mkdir -p -m 700 /root/.ssh; [ -e /root/.ssh/id_ed25519 ] || ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519; cat /root/.ssh/id_ed25519.pub", cancellationToken);

    /// <summary>Makes root on a host know the host keys of others.</summary>
    public static async Task KnowAsync(TestHost host, IReadOnlyList<TestHost> others, CancellationToken cancellationToken)
    {
        var known = new List<string>();
        foreach (TestHost other in others) known.Add($"{other.Name} {await RunAsync(other, $"cat {HostKey}.pub", cancellationToken)}");
        await host.WriteAsync("/root/.ssh/known_hosts", string.Join('\n', known) + "\n", cancellationToken);
    }

    /// <summary>How many logins sshd has let in since it was made.</summary>
    public static async Task<int> LoginsAsync(TestHost host, CancellationToken cancellationToken) =>
        int.Parse(await RunAsync(host, $"journalctl --sync; journalctl -u {Unit} --output=cat | grep -c 'Accepted publickey' || true", cancellationToken), CultureInfo.InvariantCulture);

    /// <summary>Runs shell inside, which must succeed.</summary>
    public static async Task<string> RunAsync(TestHost host, string script, CancellationToken cancellationToken) =>
        (await host.RunAsync(["sh", "-euc", script], cancellationToken)).Succeeded().TrimEnd('\n');

    private static string Unpacked()
    {
        string repository = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(repository, "Agent.sln"))) repository = Path.GetDirectoryName(repository) ?? throw new InvalidOperationException("not run from a clone");
        return Path.Combine(repository, "tests/Agent.SystemTests/bin/sshd");
    }
}
