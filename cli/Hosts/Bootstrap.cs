using System.Text;
using Agent.Artifacts;
using Agent.Cli.Rendering;

namespace Agent.Cli.Hosts;

/// <summary>Installs the agent on a host over ssh: one command there, which is fixed; what differs comes on its stdin.</summary>
internal sealed class Bootstrap(HostAddress.Ssh address, bool mayAsk, TimeProvider time, string program = "ssh")
{
    private const string Mark = "agentctl-bootstrap: ";

    private const int MostSaid = 64 * 1024;

    // Long enough for a slow line, and for a package that waits for another installation.
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(15);

    /// <summary>Becomes root, and goes on with its first argument. Words after the mark are told by <see cref="Explain"/>.</summary>
    private const string AsRoot = """
        if [ "$(id -u)" = 0 ]; then exec sh -euc "$1"; fi
        sudo -n true 2>/dev/null || { echo "agentctl-bootstrap: no-root" >&2; exit 1; }
        exec sudo -n sh -euc "$1"
        """;

    /// <summary>
    /// Reads a <see cref="BootstrapArchive"/>. It undoes what it has done when anything fails: files of configuration that it wrote, and the package where
    /// there was nothing of an agent before.
    /// </summary>
    private const string Install = """
        umask 022
        fail() { echo "agentctl-bootstrap: $1" >&2; exit 1; }
        fresh=
        directory=$(mktemp -d)
        undo() {
            status=$?
            trap - EXIT
            if [ "$status" != 0 ]; then
                for file in agentd.yaml root.json; do
                    if [ -e "$directory/$file.before" ]; then cp "$directory/$file.before" "/etc/agentd/$file"
                    elif [ -e "$directory/$file.placed" ]; then rm -f "/etc/agentd/$file"; fi
                done
                if [ -n "$fresh" ]; then dpkg --purge agentd >/dev/null 2>&1 || true; rm -rf /etc/agentd; fi
            fi
            rm -rf "$directory"
            exit "$status"
        }
        trap undo EXIT
        trap "exit 1" HUP INT TERM
        command -v dpkg >/dev/null || fail no-dpkg
        [ -d /run/systemd/system ] || fail no-systemd
        tar -x --no-same-owner -C "$directory" 2>/dev/null || fail damaged
        (cd "$directory" && sha256sum --check --strict --status SHA256SUMS) || fail damaged
        if ! [ -e /usr/bin/agentd ] && ! [ -e /etc/agentd ] && ! [ -e /var/lib/agentd ]; then fresh=yes; fi
        says() { grep -q "^[[:space:]]*[^#[:space:]]" "$1"; }
        for file in agentd.yaml root.json; do
            [ -e "$directory/$file" ] || continue
            ! [ -e "/etc/agentd/$file" ] || cmp -s "$directory/$file" "/etc/agentd/$file" || ! says "/etc/agentd/$file" || fail "configured $file"
        done
        for file in agentd.yaml root.json; do
            [ -e "$directory/$file" ] || continue
            if [ -e "/etc/agentd/$file" ]; then cp "/etc/agentd/$file" "$directory/$file.before"; else touch "$directory/$file.placed"; fi
            install -D -m 644 "$directory/$file" "/etc/agentd/$file"
        done
        export DEBIAN_FRONTEND=noninteractive
        if command -v apt-get >/dev/null; then
            set -- apt-get install --yes --quiet --no-install-recommends --reinstall --allow-downgrades -o DPkg::Lock::Timeout=120 -o Dpkg::Options::=--force-confold
        else
            set -- dpkg --force-confold --install
        fi
        "$@" "$directory/agentd.deb" </dev/null >"$directory/log" 2>&1 || {
            tail -n 15 "$directory/log" >&2
            journalctl --unit=agentd --lines=8 --no-pager --output=cat >&2 || true
            fail install
        }
        systemctl is-active --quiet agentd || fail install
        echo "agentctl-bootstrap: $(agentd --version)"
        """;

    /// <summary>What runs on the host: two constants, in quotes that hold in every shell.</summary>
    public static string RemoteCommand { get; } = $"exec sh -c '{AsRoot}' bootstrap '{Install}'";

    /// <summary>Installs, and waits until the agent is ready.</summary>
    /// <param name="progress">Is told what is going on.</param>
    /// <returns>The agent's version.</returns>
    /// <exception cref="OperatorException">It could not be installed: why, and what to do.</exception>
    public async Task<string> RunAsync(BootstrapArchive archive, Action<string> progress, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(Limit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        SshProcess ssh = SshProcess.Start(program, SshDialer.Arguments(address, mayAsk, RemoteCommand), time);
        try
        {
            Task<string> said = ReadAsync(ssh.Output, either.Token);
            progress($"sending {Human.Size(archive.Size)} to {address.Host}");
            await SendAsync(archive, ssh.Input, either.Token);
            progress($"installing on {address.Host}");
            string output = await said;
            int exit = await ssh.ExitAsync(either.Token);
            if (exit == 0 && Marked(output) is { } version) return version;
            throw Explain(exit, ssh.Errors);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new OperatorException(ExitCode.Unreachable, $"it did not finish within {Limit.TotalMinutes:0} minutes", $"look there: {SshFailure.Command(address)} systemctl status agentd; then try again");
        }
        finally
        {
            progress("");
            ssh.End();
        }
    }

    private static async Task SendAsync(BootstrapArchive archive, Stream input, CancellationToken cancellationToken)
    {
        try
        {
            await archive.WriteAsync(input, cancellationToken);
            input.Close();
        }
        catch (IOException)
        {
            // It has ended before it had all: it says why.
        }
    }

    private static async Task<string> ReadAsync(Stream output, CancellationToken cancellationToken)
    {
        var said = new StringBuilder();
        var buffer = new byte[4096];
        for (int read; (read = await output.ReadAsync(buffer, cancellationToken)) > 0;)
        {
            said.Append(Encoding.UTF8.GetString(buffer, 0, read));
            if (said.Length > MostSaid) said.Remove(0, said.Length - MostSaid);
        }
        return said.ToString();
    }

    private OperatorException Explain(int exit, string errors)
    {
        string host = address.Host, ssh = SshFailure.Command(address);
        return Marked(errors) switch
        {
            "no-root" => new OperatorException(ExitCode.Refused, $"{address.User ?? "the user"} is not root, and sudo wants a password", $"bootstrap as root: ssh://root@{host}; or let the user use sudo without one"),
            "no-dpkg" => new OperatorException(ExitCode.Refused, "it takes no Debian packages", "install there by install.sh: ./install.sh --stage DIR, copy DIR there, sudo DIR/usr/share/agentd/install.sh --from DIR"),
            "no-systemd" => new OperatorException(ExitCode.Refused, "systemd does not run there", "name a host with systemd as PID 1"),
            "damaged" => new OperatorException(ExitCode.Unreachable, "the package did not arrive whole; nothing was installed", "try again"),
            "install" => new OperatorException(ExitCode.RolledBack, $"the agent could not be installed, and was taken away again where there was none before:\n{Clean(errors)}", "see above; then the same command again"),
            { } told when told.StartsWith("configured ", StringComparison.Ordinal) => new OperatorException(ExitCode.Refused, $"it has another /etc/agentd/{Terminal.Clean(told["configured ".Length..])} already; nothing was changed",
                "leave --store and --root out, or change the file there by hand"),
            _ => SshFailure.Explain(exit, errors, address, ran: "the installation"),
        };
    }

    private static string? Marked(string said) =>
        said.Split('\n').FirstOrDefault(line => line.StartsWith(Mark, StringComparison.Ordinal))?[Mark.Length..].Trim() is { Length: > 0 } word ? Terminal.Clean(word) : null;

    private static string Clean(string errors) =>
        string.Join('\n', errors.Split(['\n', '\r'], StringSplitOptions.RemoveEmptyEntries).Where(line => !line.StartsWith(Mark, StringComparison.Ordinal)).TakeLast(20).Select(Terminal.Clean));
}
