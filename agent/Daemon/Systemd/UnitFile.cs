using System.Globalization;
using System.Text;
using Agent.Artifacts;
using Agent.Daemon.Configuration;

namespace Agent.Daemon.Systemd;

/// <summary>Texts of the files that systemd reads: units for a command line, their environment, and the drop-in for units of others.</summary>
internal static class UnitFile
{
    private static readonly TimeSpan s_stop = TimeSpan.FromSeconds(30);

    // By system call filters, in part or whole; no app has a use for what they keep off.
    private static readonly string[] s_filters =
        ["LockPersonality", "ProtectClock", "ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules", "ProtectKernelTunables", "RestrictSUIDSGID"];

    /// <summary>The units that run a program of the release, walled in: a service that is restarted, or a timer and the service that it starts.</summary>
    /// <param name="appDirectory">Holds <c>current</c> and <c>shared</c>: <c>/srv/shop</c>.</param>
    /// <param name="environmentFile">Absolute path of what <see cref="Environment"/> made; the unit does not start without it.</param>
    /// <returns>Names of files in systemd's directory, and their texts.</returns>
    /// <exception cref="OperatorException">The command, a name or a value is none (<see cref="ExitCode.Usage"/>).</exception>
    public static IReadOnlyList<(string File, string Text)> Render(UnitSource.Rendered unit, AppDefinition app, string appDirectory, string environmentFile)
    {
        if (unit.Schedule is not { } schedule) return [(unit.Name.Value, Service(unit, unit.Name.Value, app, appDirectory, environmentFile))];
        if (!unit.Name.Value.EndsWith(".timer", StringComparison.Ordinal))
            throw new OperatorException(ExitCode.Usage, $"{unit.Name} has a schedule and is no timer", "name it NAME.timer, or take the schedule away");
        string service = Path.ChangeExtension(unit.Name.Value, ".service");
        string timer = $"""
            # Written by agentd. Changes are lost with the next deployment: use a drop-in (systemctl edit {unit.Name}).
            [Unit]
            Description={app.Name}, schedule of {service}

            [Timer]
            OnCalendar={Specifiers(Plain(schedule))}
            # What was missed while the host was off is made up for.
            Persistent=yes

            [Install]
            WantedBy=timers.target

            """;
        return [(unit.Name.Value, timer), (service, Service(unit, service, app, appDirectory, environmentFile))];
    }

    /// <summary>A drop-in that gives a service of the release or of the operator the app's environment, secrets and credentials.</summary>
    public static string DropIn(AppDefinition app, string environmentFile)
    {
        var text = new StringBuilder("# Written by agentd. Changes are lost with the next deployment.\n[Service]\n");
        AppendEnvironment(text, app, environmentFile);
        return text.ToString();
    }

    private static string Service(UnitSource.Rendered unit, string name, AppDefinition app, string appDirectory, string environmentFile)
    {
        string directory = Specifiers(Plain(appDirectory));
        string appUser = app.User ?? app.Name.Value, user = unit.User ?? appUser;
        bool once = unit.Schedule is not null;
        string restart = unit.Restart ?? "always";
        if (restart is not ("always" or "on-failure" or "no"))
            throw new OperatorException(ExitCode.Usage, $"restart is '{restart}'", "write always, on-failure or no");

        var text = new StringBuilder($"""
            # Written by agentd. Changes are lost with the next deployment: use a drop-in (systemctl edit {name}).
            [Unit]
            Description={app.Name}, deployed by agentd
            After=network-online.target
            Wants=network-online.target
            # Whether a release is good is decided by its gate; systemd never gives up on one that was kept.
            StartLimitIntervalSec=0

            [Service]
            Type={(once ? "oneshot" : unit.Notify ? "notify" : "exec")}
            WorkingDirectory={directory}/current
            ExecStart={directory}/current/{Specifiers(CommandLine.Check(unit.Command))}
            User={Specifiers(Plain(user))}
            SyslogIdentifier={Path.GetFileNameWithoutExtension(name)}
            KillMode=mixed
            UMask=0027

            """);
        void Line(string key, string value) => text.Append(key).Append('=').Append(value).Append('\n');
        AppendEnvironment(text, app, environmentFile);
        // systemd gives the directory to the user that starts last: so it is the app's own user's alone.
        if (user == appUser) Line("StateDirectory", app.Name.Value);
        if (!once) Line("Restart", restart);
        if (!once && restart != "no") Line("RestartSec", "1s");
        Line("TimeoutStopSec", string.Create(CultureInfo.InvariantCulture, $"{(unit.Stop ?? s_stop).TotalMilliseconds:0}ms"));
        if (unit.Memory is { } memory) Line("MemoryMax", memory.ToString(CultureInfo.InvariantCulture));
        if (unit.Cpu is { } cpu) Line("CPUQuota", string.Create(CultureInfo.InvariantCulture, $"{cpu}%"));
        if (unit.Tasks is { } tasks) Line("TasksMax", tasks.ToString(CultureInfo.InvariantCulture));
        AppendWalls(Line, unit.Allow ?? [], directory);
        if (!once) text.Append("\n[Install]\nWantedBy=multi-user.target\n");
        return text.ToString();
    }

    // Sources: systemd.exec(5). What a JIT compiler needs is open: W^X, all of /proc but other users' processes, and the system calls of services.
    private static void AppendWalls(Action<string, string> line, IReadOnlyList<string> allow, string directory)
    {
        if (allow.FirstOrDefault(name => !ConfigurationKeys.Walls.Contains(name)) is { } unknown)
            throw new OperatorException(ExitCode.Usage, $"allow names '{unknown}', which is no wall", $"use {string.Join(", ", ConfigurationKeys.Walls)}");
        bool Open(string wall) => allow.Contains(wall);
        void Unless(string wall, string key, string value)
        {
            if (!Open(wall)) line(key, value);
        }

        string writable = $"-{directory}/shared";
        if (Open("home")) writable += " -/home -/root -/run/user";
        if (Open("tmp")) writable += " /tmp /var/tmp";
        Unless("writable-system", "ProtectSystem", "strict");
        Unless("writable-system", "ReadWritePaths", writable);
        Unless("home", "ProtectHome", "yes");
        Unless("tmp", "PrivateTmp", "yes");
        line("ProtectControlGroups", "yes");
        line("ProtectProc", "invisible");
        if (Open("realtime")) line("LimitRTPRIO", "infinity");
        if (Open("low-ports")) line("AmbientCapabilities", "CAP_NET_BIND_SERVICE");
        // What follows filters system calls, each of which implies NoNewPrivileges=yes where User= is set.
        if (Open("privileges")) return;
        line("NoNewPrivileges", "yes");
        line("CapabilityBoundingSet", Open("low-ports") ? "CAP_NET_BIND_SERVICE" : "");
        Unless("devices", "PrivateDevices", "yes");
        Unless("namespaces", "RestrictNamespaces", "yes");
        Unless("realtime", "RestrictRealtime", "yes");
        Unless("any-address-family", "RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6 AF_NETLINK");
        foreach (string wall in s_filters) line(wall, "yes");
        line("SystemCallArchitectures", "native");
        line("SystemCallFilter", Open("namespaces") ? "@system-service @mount" : "@system-service");
        line("SystemCallErrorNumber", "EPERM");
    }

    private static void AppendEnvironment(StringBuilder text, AppDefinition app, string environmentFile)
    {
        text.Append("EnvironmentFile=").Append(Specifiers(Plain(environmentFile))).Append('\n');
        // The later file wins.
        if (app.SecretsFile is { } secrets) text.Append("EnvironmentFile=").Append(Specifiers(Plain(secrets))).Append('\n');
        foreach ((string name, string path) in (app.Credentials ?? new Dictionary<string, string>()).OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            if (!name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.') || name is "" or "." or "..")
                throw new OperatorException(ExitCode.Usage, $"'{name}' is not a credential's name", "use letters, digits and . _ -");
            text.Append("LoadCredential=").Append(name).Append(':').Append(Specifiers(Plain(path))).Append('\n');
        }
    }

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
