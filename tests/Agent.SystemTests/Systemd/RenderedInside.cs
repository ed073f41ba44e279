using System.Diagnostics;
using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Systemd;
using Microsoft.Extensions.Logging.Abstractions;

namespace Agent.SystemTests.Systemd;

/// <summary>Rendered units as systemd takes them; run by <see cref="SupervisorTests"/> inside of a throwaway host.</summary>
public sealed class RenderedInside : IDisposable
{
    private const string Environment = "/var/lib/rendered.env";

    private readonly CancellationToken limit = new CancellationTokenSource(TimeSpan.FromSeconds(60)).Token;
    private readonly Supervisor supervisor = new(TimeProvider.System, NullLogger<Supervisor>.Instance);
    private readonly List<UnitName> units = [];

    private readonly AppDefinition app = new(
        new AppName("walled"), new Dictionary<string, string> { ["WHO"] = "env", ["PLAIN"] = "100% \"$HOME\"" }, [], [], new GateOptions(TimeSpan.FromSeconds(60), TimeSpan.FromSeconds(10)));

    public void Dispose()
    {
        supervisor.Dispose();
        foreach (UnitName unit in units) Shell($"systemctl stop {unit}; systemctl disable {unit}; rm -f /etc/systemd/system/{unit}; systemctl reset-failed {unit}; true");
        Shell("systemctl daemon-reload; rm -rf /srv/walled /var/lib/walled");
    }

    [Fact(Explicit = true)]
    public async Task A_service_runs_as_it_was_rendered()
    {
        // As on a machine; systemd mounts credentials from a namespace of its own.
        Shell("mount --make-rshared /");
        File.WriteAllText("/run/walled.secrets", "TOKEN=hidden\nWHO=secrets\n");
        File.WriteAllText("/run/walled.key", "the key");
        foreach (string file in (string[])["/run/walled.secrets", "/run/walled.key"]) File.SetUnixFileMode(file, UnixFileMode.UserRead);
        string seen = await RunAsync(
            "id -un; pwd; echo \"$WHO|$PLAIN|$TOKEN\"; cat $CREDENTIALS_DIRECTORY/key; echo; touch /srv/walled/shared/x $STATE_DIRECTORY/y && echo writable; touch /var/tmp/z && echo private; touch /srv/walled/nope /etc/nope; grep -c . /proc/meminfo > /dev/null && echo memory; ls /home",
            app with { SecretsFile = "/run/walled.secrets", Credentials = new Dictionary<string, string> { ["key"] = "/run/walled.key" } });
        Assert.Equal(["walled", "/srv/walled/releases/v1", "secrets|100% \"$HOME\"|hidden", "the key", "writable", "private", "memory"], seen.Split('\n'));
        Assert.False(File.Exists("/var/tmp/z"));
        Assert.DoesNotContain("hidden", Shell("systemctl show walled.service; journalctl -u walled.service"), StringComparison.Ordinal);
        Assert.Equal("0", Shell("systemd-analyze verify /etc/systemd/system/walled.service 2>&1 | grep -c walled || true").Trim());
    }

    [Theory(Explicit = true)]
    [InlineData("low-ports", "python3 -c 'import socket; socket.create_server((\"127.0.0.1\", 81))'")]
    [InlineData("privileges", "test $(/usr/local/bin/walled-id -u) = 0")]
    [InlineData("namespaces", "unshare --user --map-root-user --mount true")]
    [InlineData("realtime", "chrt -f 1 true")]
    [InlineData("any-address-family", "python3 -c 'import socket; socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)'")]
    [InlineData("tmp", "test -e /tmp/walled-marker")]
    [InlineData("home", "test -e /home/walled-marker")]
    [InlineData("writable-system", "touch /opt/walled-open/x")]
    [InlineData("devices", "test -e /dev/walled-device")]
    public async Task A_wall_holds_until_it_is_left_out(string wall, string command)
    {
        Shell("touch /tmp/walled-marker /home/walled-marker; mkdir -p /opt/walled-open; chmod 777 /opt/walled-open; touch /dev/walled-device; install -m 4755 /usr/bin/id /usr/local/bin/walled-id");
        Assert.SkipWhen(
            wall == "realtime" && Shell("systemd-run --wait -P -q -p User=nobody -p LimitRTPRIO=infinity sh -c 'ulimit -r'").Trim() == "0", "systemd may not raise limits here");
        string script = $"if {command} 2>/srv/walled/shared/errors; then echo open; else echo closed; fi";
        Assert.Equal("closed", await RunAsync(script, app));
        Assert.Equal("open", await RunAsync(script, app, wall));
    }

    [Fact(Explicit = true)]
    public async Task A_timer_is_started_and_enabled_and_starts_its_service()
    {
        var timer = new UnitName("walled-tick.timer");
        await WriteAsync(new UnitSource.Rendered(timer, "run", null) { Schedule = "*-*-* *:*:*" }, app, "echo ticked");
        await supervisor.StartAsync(timer, limit);
        await supervisor.EnableAsync(timer, limit);
        Assert.True(File.Exists("/etc/systemd/system/timers.target.wants/walled-tick.timer"));
        UnitState state = await supervisor.GetStateAsync(timer, limit);
        Assert.Equal(("loaded", "active", "success", 0), (state.LoadState, state.ActiveState, state.Result, state.MainPid));
        while (Read() != "ticked") await Task.Delay(100, limit);
        await supervisor.RestartAsync(timer, limit);
        await supervisor.StopAsync(timer, limit);
        Assert.Equal("inactive", (await supervisor.GetStateAsync(timer, limit)).ActiveState);
        await supervisor.DisableAsync(timer, limit);
        Assert.False(File.Exists("/etc/systemd/system/timers.target.wants/walled-tick.timer"));
    }

    private async Task<string> RunAsync(string script, AppDefinition definition, params string[] allow)
    {
        var unit = new UnitName("walled.service");
        await WriteAsync(new UnitSource.Rendered(unit, "run", null) { Allow = allow, Memory = 256L << 20, Cpu = 150, Tasks = 100 }, definition, script + "\nexec sleep infinity");
        await supervisor.RestartAsync(unit, limit);
        string seen;
        do
        {
            await Task.Delay(50, limit);
            seen = Read();
        }
        while (seen.Length == 0 || !Shell($"cat /proc/$(systemctl show -P MainPID {unit})/comm").StartsWith("sleep", StringComparison.Ordinal));
        return Read();
    }

    private static string Read() => File.Exists("/srv/walled/shared/out") ? File.ReadAllText("/srv/walled/shared/out").Trim() : "";

    private async Task WriteAsync(UnitSource.Rendered unit, AppDefinition definition, string script)
    {
        await supervisor.MakeUserAsync("walled", limit);
        Shell("mkdir -p /srv/walled/releases/v1 /srv/walled/shared; ln -sfn releases/v1 /srv/walled/current; rm -f /srv/walled/shared/out; chown walled: /srv/walled/shared");
        File.WriteAllText("/srv/walled/current/run", $"#!/bin/sh\nexec > /srv/walled/shared/out\n{script}\n");
        Shell("chmod 755 /srv/walled/current/run");
        File.WriteAllText(Environment, UnitFile.Environment(definition.Environment));
        foreach ((string file, string text) in UnitFile.Render(unit, definition, "/srv/walled", Environment))
        {
            File.WriteAllText($"/etc/systemd/system/{file}", text);
            units.Add(new UnitName(file));
        }
        await supervisor.ReloadAsync(limit);
    }

    private static string Shell(string script)
    {
        using Process process = Process.Start(new ProcessStartInfo("sh", ["-c", script]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"{script}: {error.Result}");
        return output;
    }
}
