using System.Reflection;
using Agent.Artifacts.Durable;
using Agent.Daemon.Access;
using Agent.Daemon.Configuration;
using Agent.Protos;
using Grpc.Health.V1;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Options;

namespace Agent.Daemon.Api;

/// <summary>gRPC on the Unix socket, and over TLS where the operator wants it: agent.v1, and the standard health and reflection services.</summary>
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
        builder.Services.AddGrpc(static grpc => grpc.MaxReceiveMessageSize = ApiLimits.Message);
        builder.Services.AddSingleton<ApiCalls>();
        builder.Services.AddSingleton<AgentService>();
        builder.Services.AddSingleton<DatabaseService>();
        builder.Services.AddSingleton<RolloutService>();
        builder.Services.AddSingleton<UnsignedPushes>();
        builder.Services.AddSingleton<PushService>();
        builder.Services.AddSingleton<HealthService>();
        builder.Services.AddSingleton(_ => new ReflectionService(V1.AgentReflection.Descriptor, V1.DatabaseReflection.Descriptor, V1.FleetReflection.Descriptor, HealthReflection.Descriptor));
        builder.Services.AddSingleton<ReflectionV1AlphaService>();   // what grpcurl and others still ask
        builder.Services.AddSingleton(services => new Callers(groups, options, services.GetRequiredService<Clients>(), services.GetService<CertificateRules>()));
        builder.Services.AddSingleton<RefusalBudget>();
        builder.Services.AddSingleton<FrontDoor>();
        builder.Services.AddAccess(options);
        builder.Services.AddSingleton(services => new AuditLog(
            services.GetRequiredService<IDisk>(), Path.Combine(options.Data, "audit"), services.GetRequiredService<ILogger<AuditLog>>()));
        builder.Services.AddSingleton<IConnectionListenerFactory>(services =>
        {
            ulong descriptors = ApiLimits.Descriptors();
            Refusals refusals = services.GetRequiredService<Refusals>();
            return new BoundedListenerFactory(
                services.GetRequiredService<IOptions<SocketTransportOptions>>(), services.GetRequiredService<ILoggerFactory>(),
                endpoint => ApiLimits.Connections(endpoint, descriptors), from => refusals.Count(Refusals.Address, TlsPeer.FromOf(from)));
        });
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            ApiLimits.Set(kestrel);
            kestrel.ListenOnAgentSocket(options.Socket);
            if (options.Listener is null) return;
            kestrel.ApplicationServices.GetRequiredService<BrokenConnections>();    // listens from now on
            kestrel.ApplicationServices.GetRequiredService<TlsDoor>().Listen(kestrel);
        });
        builder.Services.AddOptions<SocketTransportOptions>().Configure<ILogger<AgentService>>((transport, logger) =>
        {
            foreach ((string group, Role role) in groups.Missing) logger.GroupMissing(group, Roles.Word(role));
            transport.CreateBoundListenSocket = endpoint => AgentSocket.Bind(endpoint, options.Socket, groups.All, new Disk(), logger);
        });
        return builder;
    }

    private static void AddAccess(this IServiceCollection services, AgentOptions options)
    {
        services.AddSingleton<Refusals>().AddSingleton<OpenConnections>().AddSingleton<PairingCodes>();
        services.AddSingleton(provider => new Clients(
            provider.GetRequiredService<IDisk>(), options.Data, provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<Clients>>()));
        if (options.Listener is { } listener)
        {
            services.AddSingleton(listener).AddSingleton<CertificateRules>().AddSingleton<BrokenConnections>().AddSingleton<TlsDoor>();
            services.AddSingleton(provider => new AgentIdentity(provider.GetRequiredService<IDisk>(), options.Data, listener, provider.GetRequiredService<TimeProvider>()));
        }
        services.AddSingleton(provider => new AccessService(
            provider.GetRequiredService<ApiCalls>(), provider.GetRequiredService<Clients>(), provider.GetRequiredService<PairingCodes>(), provider.GetRequiredService<OpenConnections>(),
            options.Listener, provider.GetService<AgentIdentity>(), provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<AccessService>>()));
    }

    public static WebApplication MapAgentApi(this WebApplication app)
    {
        FrontDoor door = app.Services.GetRequiredService<FrontDoor>();
        app.Use(next => http => door.EnterAsync(http, next));
        app.MapGrpcService<AccessService>();
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
