using System.Diagnostics;
using Agent.Artifacts;
using Agent.Daemon.Hosting;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Agent.Tests.Hosting;

public sealed class AgentHostTests : IDisposable
{
    private readonly DatagramSocket systemd = new();
    private readonly List<string> happened = [];

    public void Dispose() => systemd.Dispose();

    [Fact]
    public async Task Recovers_before_it_serves_and_serves_before_it_is_ready()
    {
        await using WebApplication app = Build(TimeSpan.FromMilliseconds(100));
        Task<int> running = app.RunAgentAsync(Lock, _ => Note("recovered"), () => "shop v1.2.0 live");
        Assert.Equal("EXTEND_TIMEOUT_USEC=30000000\nSTATUS=recovering", systemd.ReceiveText());
        Assert.Equal("READY=1\nSTATUS=shop v1.2.0 live", UntilOther("WATCHDOG=1"));
        Assert.Equal(["locked", "recovered", "served"], happened);
        Assert.Equal("WATCHDOG=1", systemd.ReceiveText());
        app.Lifetime.StopApplication();
        Assert.Equal("STOPPING=1\nSTATUS=stopping", UntilOther("WATCHDOG=1"));
        Assert.Equal(0, await running);
        Assert.Equal(["locked", "recovered", "served", "stopped", "unlocked"], happened);
    }

    [Fact]
    public async Task Is_never_ready_when_recovery_fails()
    {
        await using WebApplication app = Build(null);
        int exit = await app.RunAgentAsync(
            Lock, _ => throw new OperatorException(ExitCode.NeedsOperator, "line 12 of the journal is damaged", "move it away"), () => "");
        Assert.Equal(3, exit);
        Assert.Equal("EXTEND_TIMEOUT_USEC=30000000\nSTATUS=recovering", systemd.ReceiveText());
        Assert.Equal(["locked", "unlocked"], happened);
    }

    [Fact]
    public async Task A_second_instance_touches_nothing_and_exits_as_refused()
    {
        await using WebApplication app = Build(null);
        int exit = await app.RunAgentAsync(
            () => throw new OperatorException(ExitCode.Refused, "agentd already runs here", "use that one"), _ => Note("recovered"), () => "");
        Assert.Equal(5, exit);
        Assert.Empty(happened);
    }

    [Fact]
    public async Task Stops_within_five_seconds_whatever_does_not_end()
    {
        await using WebApplication app = Build(null, stop: Task.Delay(Timeout.Infinite));
        Task<int> running = app.RunAgentAsync(Lock, _ => Task.CompletedTask, () => "");
        Assert.StartsWith("READY=1", UntilOther("EXTEND_TIMEOUT_USEC=30000000\nSTATUS=recovering"), StringComparison.Ordinal);
        long began = Stopwatch.GetTimestamp();
        app.Lifetime.StopApplication();
        Assert.Equal(0, await running);
        Assert.InRange(Stopwatch.GetElapsedTime(began).TotalSeconds, 1, 5);
    }

    private string UntilOther(string than)
    {
        while (true)
            if (systemd.ReceiveText() is var text && text != than) return text;
    }

    private Task Note(string what)
    {
        happened.Add(what);
        return Task.CompletedTask;
    }

    private Held Lock()
    {
        happened.Add("locked");
        return new Held(happened);
    }

    private WebApplication Build(TimeSpan? watchdog, Task? stop = null)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Logging.ClearProviders();
        builder.Services.AddSingleton(TimeProvider.System)
            .AddSingleton(new Notify(systemd.Path, watchdog))
            .AddSingleton<IServer>(new Server(happened, stop ?? Task.CompletedTask))
            .AddHostedService<WatchdogService>();
        return builder.Build();
    }

    private sealed record Held(List<string> Happened) : IDisposable
    {
        public void Dispose() => Happened.Add("unlocked");
    }

    private sealed class Server(List<string> happened, Task stop) : IServer
    {
        public IFeatureCollection Features { get; } = new FeatureCollection();

        public Task StartAsync<TContext>(IHttpApplication<TContext> application, CancellationToken cancellationToken)
            where TContext : notnull
        {
            happened.Add("served");
            return Task.CompletedTask;
        }

        public Task StopAsync(CancellationToken cancellationToken)
        {
            happened.Add("stopped");
            return stop;
        }

        public void Dispose()
        {
        }
    }
}
