using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Agent.Tests.Cli;

/// <summary>A <see cref="FakeAgent"/> behind a real Unix socket, in a directory of its own.</summary>
public sealed class FakeHost : IAsyncLifetime
{
    private readonly string directory = Directory.CreateTempSubdirectory("agentctl-").FullName;
    private WebApplication? app;

    internal FakeAgent Agent { get; } = new();

    public string Socket => Path.Combine(directory, "agentd.sock");

    /// <summary>A socket file at which nobody listens, as a killed agent leaves it.</summary>
    public string DeadSocket => Path.Combine(directory, "dead.sock");

    public async ValueTask InitializeAsync()
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddGrpc();
        builder.Services.AddSingleton(Agent);
        builder.Services.AddSingleton<FakeDatabase>();
        builder.Services.AddSingleton<FakeAccess>();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenUnixSocket(Socket, listen => listen.Protocols = HttpProtocols.Http2));
        app = builder.Build();
        app.MapGrpcService<FakeAgent>();
        app.MapGrpcService<FakeDatabase>();
        app.MapGrpcService<FakeAccess>();
        await app.StartAsync();
        File.WriteAllBytes(DeadSocket, []);
    }

    public async ValueTask DisposeAsync()
    {
        if (app is not null)
        {
            using var soon = new CancellationTokenSource(TimeSpan.FromSeconds(2));
            await app.StopAsync(soon.Token);
            await app.DisposeAsync();
        }
        Directory.Delete(directory, recursive: true);
    }
}
