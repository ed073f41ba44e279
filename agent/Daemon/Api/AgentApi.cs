using System.Reflection;
using Agent.Artifacts.Durable;
using Agent.Protos;
using Grpc.Health.V1;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;

namespace Agent.Daemon.Api;

/// <summary>gRPC on the Unix socket: agent.v1, and the standard health and reflection services.</summary>
internal static class AgentApi
{
    public static string Version { get; } =
        typeof(AgentApi).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";

    public static WebApplicationBuilder AddAgentApi(this WebApplicationBuilder builder, string socket)
    {
        uint? group = Accounts.GroupOf(Callers.GroupName);
        builder.Services.AddGrpc();
        builder.Services.AddSingleton<AgentService>();
        builder.Services.AddSingleton<HealthService>();
        builder.Services.AddSingleton(_ => new ReflectionService(V1.AgentReflection.Descriptor, HealthReflection.Descriptor));
        builder.Services.AddSingleton<ReflectionV1AlphaService>();   // what grpcurl and others still ask
        builder.Services.AddSingleton(services => new Callers(group, services.GetRequiredService<ILogger<Callers>>()));
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MinResponseDataRate = null;   // who follows logs in a paused terminal reads nothing for hours
            kestrel.ListenOnAgentSocket(socket);
        });
        builder.Services.AddOptions<SocketTransportOptions>().Configure<ILogger<AgentService>>((transport, logger) =>
        {
            if (group is null) logger.GroupMissing(Callers.GroupName);
            transport.CreateBoundListenSocket = endpoint => AgentSocket.Bind(endpoint, socket, group, new Disk(), logger);
        });
        return builder;
    }

    public static WebApplication MapAgentApi(this WebApplication app)
    {
        app.MapGrpcService<AgentService>();
        app.MapGrpcService<HealthService>();
        app.MapGrpcService<ReflectionService>();
        app.MapGrpcService<ReflectionV1AlphaService>();
        return app;
    }
}
