using System.Diagnostics;
using System.Text.Json;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Hosting;
using Agent.Daemon.Systemd;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Agent.SystemTests.Systemd;

/// <summary>The daemon's life as systemd sees it; run by <see cref="SupervisorTests"/> inside of a throwaway host.</summary>
public sealed class DaemonInside : IDisposable
{
    private const string Data = "/var/lib/daemon-probe";
    private static readonly UnitName s_unit = new("daemon-probe.service");

    private readonly CancellationToken limit = new CancellationTokenSource(TimeSpan.FromSeconds(60)).Token;
    private readonly Supervisor supervisor = new(TimeProvider.System, NullLogger<Supervisor>.Instance);

    public void Dispose()
    {
        Shell($"systemctl stop {s_unit}; rm -rf {Data} /etc/systemd/system/{s_unit}; systemctl reset-failed {s_unit}; true");
        supervisor.Dispose();
    }

    [Fact(Explicit = true)]
    public async Task Is_ready_after_recovery_is_kept_alive_and_stops_in_time()
    {
        // Recovery takes longer than systemd gives for starting: the agent asks for more.
        await WriteAsync("WatchdogSec=2\nTimeoutStartSec=3\n", "recover=5");
        await supervisor.StartAsync(s_unit, limit);
        Assert.Equal("shop v1.2.0 live; following channel stable", Shell($"systemctl show -P StatusText {s_unit}").Trim());
        UnitState ready = await supervisor.GetStateAsync(s_unit, limit);

        OperatorException second = Assert.Throws<OperatorException>(() => InstanceLock.Take(new Disk(), Data));
        Assert.Equal((ExitCode.Refused, $"agentd already runs here (pid {ready.MainPid}, on {Data})"), (second.Code, second.Message));

        await Task.Delay(TimeSpan.FromSeconds(5), limit);
        UnitState later = await supervisor.GetStateAsync(s_unit, limit);
        Assert.Equal(("active", ready.MainPid, 0u), (later.ActiveState, later.MainPid, later.Restarts));

        long began = Stopwatch.GetTimestamp();
        await supervisor.StopAsync(s_unit, limit);
        Assert.InRange(Stopwatch.GetElapsedTime(began).TotalSeconds, 0, 5);
        Assert.Equal("success", (await supervisor.GetStateAsync(s_unit, limit)).Result);
        InstanceLock.Take(new Disk(), Data).Dispose();
    }

    [Fact(Explicit = true)]
    public async Task Logs_to_the_journal_with_fields()
    {
        await WriteAsync("", "recover=0");
        await supervisor.StartAsync(s_unit, limit);
        JsonElement line;
        while (Shell($"journalctl -q -u {s_unit} EVENT_ID=1299 -n 1 -o json") is var text)
        {
            if (text.Length > 0)
            {
                line = JsonDocument.Parse(text).RootElement;
                break;
            }
            await Task.Delay(20, limit);
        }
        string Field(string name) => line.GetProperty(name).GetString()!;
        Assert.Equal(("two\nlines v1.2.0 gate", "4", "agentd"), (Field("MESSAGE"), Field("PRIORITY"), Field("SYSLOG_IDENTIFIER")));
        Assert.Equal(("shop", "d-1", "v1.2.0", "gate"), (Field("APP"), Field("DEPLOYMENT"), Field("RELEASE"), Field("STEP")));
        Assert.Equal(("Agent.Probe", "daemon-probe.service"), (Field("CATEGORY"), Field("_SYSTEMD_UNIT")));
        Assert.Contains("InvalidOperationException: why", Field("EXCEPTION"), StringComparison.Ordinal);
    }

    [Fact(Explicit = true)]
    public async Task Is_started_anew_when_it_is_stuck()
    {
        await WriteAsync("WatchdogSec=1\nWatchdogSignal=SIGKILL\n", "stuck");
        await supervisor.StartAsync(s_unit, limit);
        UnitState state;
        do
        {
            await Task.Delay(50, limit);
            state = await supervisor.GetStateAsync(s_unit, limit);
        }
        while (state.ActiveState == "active");
        Assert.Equal("watchdog", state.Result);
    }

    private async Task WriteAsync(string settings, string role)
    {
        string dotnet = Environment.ProcessPath!;
        string assembly = typeof(DaemonInside).Assembly.Location;
        File.WriteAllText($"/etc/systemd/system/{s_unit}", $"""
            [Service]
            Type=notify
            Environment=PROBE={role}
            ExecStart={dotnet} exec {assembly} -explicit only -method {typeof(DaemonBody).FullName}.{nameof(DaemonBody.Runs)}
            {settings}
            """);
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

/// <summary>What the unit of <see cref="DaemonInside"/> starts: the daemon's life around next to nothing.</summary>
public sealed class DaemonBody
{
    [Fact(Explicit = true)]
    public async Task Runs()
    {
        string role = Environment.GetEnvironmentVariable("PROBE") ?? throw new InvalidOperationException("started by a unit only");
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.AddAgentLogging();
        builder.Services.AddSingleton(TimeProvider.System).AddSingleton(Notify.FromEnvironment()).AddHostedService<WatchdogService>();
        builder.WebHost.UseSetting("urls", "http://127.0.0.1:0");
        await using WebApplication app = builder.Build();
        ILogger logger = app.Services.GetRequiredService<ILoggerFactory>().CreateLogger("Agent.Probe");
        app.Lifetime.ApplicationStarted.Register(() =>
        {
            using IDisposable? scope = logger.BeginScope(new Dictionary<string, object> { ["App"] = "shop", ["Deployment"] = "d-1" });
            logger.LogWarning(new EventId(1299), new InvalidOperationException("why"), "two\nlines {Release} {Step}", "v1.2.0", "gate");
            if (role == "stuck") Block();
        });
        int exit = await app.RunAgentAsync(
            () => InstanceLock.Take(new Disk(), "/var/lib/daemon-probe"),
            stop => role.StartsWith("recover=", StringComparison.Ordinal) ? Task.Delay(TimeSpan.FromSeconds(int.Parse(role[8..])), stop) : Task.CompletedTask,
            () => "shop v1.2.0 live; following channel stable");
        Assert.Equal(0, exit);
    }

    // Every thread of the pool, now and later.
    private static void Block()
    {
        ThreadPool.SetMinThreads(Environment.ProcessorCount, Environment.ProcessorCount);
        ThreadPool.SetMaxThreads(Environment.ProcessorCount, Environment.ProcessorCount);
        for (int i = 0; i < Environment.ProcessorCount; i++) ThreadPool.QueueUserWorkItem(_ => new ManualResetEvent(false).WaitOne());
    }
}
