using Agent.Daemon.Deployments;
using Microsoft.Win32.SafeHandles;

namespace Agent.Daemon.Systemd;

/// <summary>The unit that systemd makes for a command.</summary>
internal static class CommandUnit
{
    // Walls that no hook has a use for. More would come between an operator's hook as root (reload a proxy, write below /etc) and its work.
    private static readonly string[] s_walls =
    [
        "NoNewPrivileges", "PrivateTmp", "LockPersonality", "ProtectClock", "ProtectControlGroups", "ProtectHostname", "ProtectKernelLogs",
        "ProtectKernelModules", "RestrictRealtime",
    ];

    /// <summary>Writes the arguments of StartTransientUnit.</summary>
    /// <param name="killAfter">Time between being asked to end and being killed.</param>
    /// <param name="output">Takes output and errors.</param>
    /// <remarks>Source: org.freedesktop.systemd1(5), StartTransientUnit; properties are those of systemd.service(5) and systemd.exec(5), in D-Bus' types.</remarks>
    public static void Write(BusMessage message, TransientCommand command, TimeSpan killAfter, SafeFileHandle output)
    {
        message.Write(command.Unit.Value);
        message.Write("fail");
        message.Write('a', "(sv)", unit => WriteProperties(unit, command, killAfter, output));
        message.Write('a', "(sa(sv))", static _ => { });
    }

    private static void WriteProperties(BusMessage unit, TransientCommand command, TimeSpan killAfter, SafeFileHandle output)
    {
        void Text(string name, string value) => unit.WriteProperty(name, "s", m => m.Write(value));
        void Number(string name, ulong value) => unit.WriteProperty(name, "t", m => m.Write(value));
        void Yes(string name) => unit.WriteProperty(name, "b", static m => m.Write(true));

        Text("Description", command.Description);
        Text("Type", "oneshot");
        Yes("RemainAfterExit");
        Number("TimeoutStartUSec", Microseconds(command.Timeout));
        Number("TimeoutStopUSec", Microseconds(killAfter));
        Text("KillMode", "control-group");
        Text("WorkingDirectory", command.WorkingDirectory);
        if (command.User is { } user) Text("User", user);
        if (command.Memory is { } memory)
        {
            Number("MemoryMax", (ulong)memory);
            Number("MemorySwapMax", 0);
        }
        string[] environment = [.. command.Environment.Select(pair => $"{pair.Key}={pair.Value}")];
        unit.WriteProperty("Environment", "as", m => m.Write(environment));
        unit.WriteProperty("EnvironmentFiles", "a(sb)", m => m.Write('a', "(sb)", files =>
        {
            foreach (string path in command.EnvironmentFiles)
            {
                files.Write('r', "sb", file =>
                {
                    file.Write(path);
                    file.Write(false);      // it must be there
                });
            }
        }));
        string[] arguments = [.. command.Arguments];
        unit.WriteProperty("ExecStartEx", "a(sasas)", m => m.Write('a', "(sasas)", lines => lines.Write('r', "sasas", line =>
        {
            line.Write(arguments[0]);
            line.Write(arguments);
            line.Write(["no-env-expand"]);  // arguments are as they are
        })));
        unit.WriteProperty("StandardOutputFileDescriptor", "h", m => m.Write(output));
        unit.WriteProperty("StandardErrorFileDescriptor", "h", m => m.Write(output));
        foreach (string wall in s_walls) Yes(wall);
        unit.WriteProperty("SystemCallArchitectures", "as", static m => m.Write(["native"]));
    }

    private static ulong Microseconds(TimeSpan time) => (ulong)Math.Ceiling(time.TotalMicroseconds);
}
