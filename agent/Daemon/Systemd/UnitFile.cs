using System.Text;
using Agent.Artifacts;
using Agent.Daemon.Configuration;

namespace Agent.Daemon.Systemd;

/// <summary>Texts of the files that systemd reads: a unit for a command line, its environment, and the drop-in that joins the two.</summary>
internal static class UnitFile
{
    /// <summary>A unit that runs a program of the release: restarted for ever, stopped within 30 s, and walled in.</summary>
    /// <param name="appDirectory">Holds <c>current</c> and <c>shared</c>: <c>/srv/shop</c>.</param>
    /// <param name="environmentFile">Absolute path of what <see cref="Environment"/> made; the unit does not start without it.</param>
    /// <exception cref="OperatorException">The command or user is none (<see cref="ExitCode.Usage"/>).</exception>
    public static string Render(UnitSource.Rendered unit, AppName app, string appDirectory, string environmentFile)
    {
        string command = Specifiers(CommandLine.Check(unit.Command));
        string directory = Specifiers(Plain(appDirectory));
        // A dynamic user exists while the service runs and owns nothing outside of its state directory.
        string identity = unit.User is null ? "DynamicUser=yes" : $"User={Specifiers(Plain(unit.User))}";
        return $"""
            # Written by agentd. Changes are lost with the next deployment: use a drop-in (systemctl edit {unit.Name}).
            [Unit]
            Description={app}, deployed by agentd
            After=network-online.target
            Wants=network-online.target
            # Whether a release is good is decided by its gate; systemd never gives up on one that was kept.
            StartLimitIntervalSec=0

            [Service]
            Type=exec
            WorkingDirectory={directory}/current
            ExecStart={directory}/current/{command}
            {identity}
            EnvironmentFile={Specifiers(Plain(environmentFile))}
            StateDirectory={app}
            ReadWritePaths=-{directory}/shared
            SyslogIdentifier={app}
            Restart=always
            RestartSec=1s
            TimeoutStopSec=30s
            KillMode=mixed
            UMask=0027
            NoNewPrivileges=yes
            ProtectSystem=strict
            ProtectHome=yes
            PrivateTmp=yes
            PrivateDevices=yes
            ProtectClock=yes
            ProtectControlGroups=yes
            ProtectHostname=yes
            ProtectKernelLogs=yes
            ProtectKernelModules=yes
            ProtectKernelTunables=yes
            RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
            RestrictNamespaces=yes
            RestrictRealtime=yes
            RestrictSUIDSGID=yes
            LockPersonality=yes
            SystemCallArchitectures=native

            [Install]
            WantedBy=multi-user.target

            """;
    }

    /// <summary>A drop-in that gives a unit of the release or of the operator the environment of the app.</summary>
    public static string DropIn(string environmentFile) =>
        $"""
        # Written by agentd. Changes are lost with the next deployment.
        [Service]
        EnvironmentFile={Specifiers(Plain(environmentFile))}

        """;

    /// <summary>The environment, sorted by name, each value in double quotes.</summary>
    /// <remarks>
    /// Source: systemd.exec(5), EnvironmentFile=: within double quotes a backslash stands before <c>" \ ` $</c> and makes them plain;
    /// nothing is expanded. What it puts before other characters stays.
    /// </remarks>
    /// <exception cref="OperatorException">A name or value cannot be written (<see cref="ExitCode.Usage"/>).</exception>
    public static string Environment(IReadOnlyDictionary<string, string> environment)
    {
        var text = new StringBuilder("# Written by agentd from apps.d and the release's agent.yaml.\n");
        foreach ((string name, string value) in environment.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            if (name.Length == 0 || char.IsAsciiDigit(name[0]) || !name.All(c => char.IsAsciiLetterOrDigit(c) || c == '_'))
                throw new OperatorException(ExitCode.Usage, $"'{name}' is not a variable's name", "use letters, digits and '_', not beginning with a digit");
            text.Append(name).Append("=\"");
            foreach (char c in Plain(value))
            {
                if (c is '"' or '\\' or '`' or '$') text.Append('\\');
                text.Append(c);
            }
            text.Append("\"\n");
        }
        return text.ToString();
    }

    // systemd.unit(5), Specifiers.
    private static string Specifiers(string text) => text.Replace("%", "%%", StringComparison.Ordinal);

    // A line break would begin another setting.
    private static string Plain(string text) => text.Any(c => char.IsControl(c) && c != '\t')
        ? throw new OperatorException(ExitCode.Usage, "a value for systemd holds a line break or control character", "write it in one line")
        : text;
}
