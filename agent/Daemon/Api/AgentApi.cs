using System.Reflection;
using Agent.Artifacts.Durable;
using Agent.Daemon.Configuration;
using Agent.Protos;
using Grpc.Health.V1;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;

namespace Agent.Daemon.Api;

/// <summary>gRPC on the Unix socket: agent.v1, and the standard health and reflection services.</summary>
internal static class AgentApi
{
    public static string Version { get; } =
        typeof(AgentApi).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";

    /// <summary>What agents have learnt, counted up: see <c>GetVersionResponse.api</c>.</summary>
    public const int Level = 1;

    /// <summary>Wants an <see cref="IDisk"/> and a TimeProvider among the services, and what <see cref="AgentService"/> asks.</summary>
    public static WebApplicationBuilder AddAgentApi(this WebApplicationBuilder builder, AgentOptions options)
    {
        RoleGroups groups = RoleGroups.Of(options);
        builder.Services.AddGrpc();
        builder.Services.AddSingleton<ApiCalls>();
        builder.Services.AddSingleton<AgentService>();
        builder.Services.AddSingleton<DatabaseService>();
        builder.Services.AddSingleton<RolloutService>();
        builder.Services.AddSingleton<UnsignedPushes>();
        builder.Services.AddSingleton<PushService>();
        builder.Services.AddSingleton<HealthService>();
        builder.Services.AddSingleton(_ => new ReflectionService(V1.AgentReflection.Descriptor, V1.DatabaseReflection.Descriptor, V1.FleetReflection.Descriptor, HealthReflection.Descriptor));
        builder.Services.AddSingleton<ReflectionV1AlphaService>();   // what grpcurl and others still ask
        builder.Services.AddSingleton(new Callers(groups, options));
        builder.Services.AddSingleton(services => new AuditLog(
            services.GetRequiredService<IDisk>(), Path.Combine(options.Data, "audit"), services.GetRequiredService<ILogger<AuditLog>>()));
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxConcurrentConnections = AgentSocket.MostConnections(AgentSocket.Descriptors());
            kestrel.Limits.MinResponseDataRate = null;   // who follows logs in a paused terminal reads nothing for hours
            kestrel.ListenOnAgentSocket(options.Socket);
        });
        builder.Services.AddOptions<SocketTransportOptions>().Configure<ILogger<AgentService>>((transport, logger) =>
        {
            foreach ((string group, Role role) in groups.Missing) logger.GroupMissing(group, Roles.Word(role));
            transport.CreateBoundListenSocket = endpoint => AgentSocket.Bind(endpoint, options.Socket, groups.All, new Disk(), logger);
        });
        return builder;
    }

    public static WebApplication MapAgentApi(this WebApplication app)
    {
        app.MapGrpcService<AgentService>();
        app.MapGrpcService<DatabaseService>();
        app.MapGrpcService<RolloutService>();
        app.MapGrpcService<PushService>();
        app.MapGrpcService<HealthService>();
        app.MapGrpcService<ReflectionService>();
        app.MapGrpcService<ReflectionV1AlphaService>();
        return app;
    }
}
