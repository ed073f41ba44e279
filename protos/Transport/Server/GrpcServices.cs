using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using Agent.Protos.Transport;
using Grpc.AspNetCore.Server;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace Grpc.AspNetCore.Server
{
    public class GrpcServiceOptions
    {
        /// <summary>Bytes of a request message; null: no limit. Default 4 MiB, as elsewhere.</summary>
        public int? MaxReceiveMessageSize { get; set; } = Wire.DefaultMaxMessageSize;

        /// <summary>Bytes of a response message; null, the default: no limit.</summary>
        public int? MaxSendMessageSize { get; set; }

        /// <summary>Whether callers are told the text of unexpected exceptions. Default no: it belongs in the log.</summary>
        public bool? EnableDetailedErrors { get; set; }
    }

    public interface IGrpcServerBuilder
    {
        Microsoft.Extensions.DependencyInjection.IServiceCollection Services { get; }
    }
}

namespace Microsoft.Extensions.DependencyInjection
{
    public static class GrpcServicesExtensions
    {
        public static IGrpcServerBuilder AddGrpc(this IServiceCollection services)
        {
            services.AddRoutingCore();
            services.AddOptions();
            services.TryAddSingleton<GrpcServer>();
            return new GrpcServerBuilder(services);
        }

        public static IGrpcServerBuilder AddGrpc(this IServiceCollection services, Action<GrpcServiceOptions> configureOptions) =>
            services.Configure(configureOptions).AddGrpc();
    }

    internal sealed class GrpcServerBuilder(IServiceCollection services) : IGrpcServerBuilder
    {
        public IServiceCollection Services { get; } = services;
    }
}

namespace Microsoft.AspNetCore.Builder
{
    public static class GrpcEndpointRouteBuilderExtensions
    {
        private const DynamicallyAccessedMemberTypes ServiceMembers =
            DynamicallyAccessedMemberTypes.PublicConstructors | DynamicallyAccessedMemberTypes.PublicMethods | DynamicallyAccessedMemberTypes.NonPublicMethods;

        /// <summary>Maps the methods of a service that derives from a generated base class. It comes from the request's services, or is made for each call.</summary>
        /// <exception cref="InvalidOperationException">AddGrpc was not called, or the type is no gRPC service.</exception>
        public static GrpcServiceEndpointConventionBuilder MapGrpcService<[DynamicallyAccessedMembers(ServiceMembers)] TService>(this IEndpointRouteBuilder builder)
            where TService : class
        {
            var server = (GrpcServer?)builder.ServiceProvider.GetService(typeof(GrpcServer))
                ?? throw new InvalidOperationException("Unable to find the required services. Please add all the required services by calling 'IServiceCollection.AddGrpc'.");
            var endpoints = new List<IEndpointConventionBuilder>();
            new ServiceMapper<TService>(builder, server, FindBind<TService>(), endpoints).Map();
            server.MapUnknown(builder);
            return new GrpcServiceEndpointConventionBuilder(endpoints);
        }

        /// <summary>The generated <c>BindService(ServiceBinderBase, TheBase)</c>, which the attribute on the base class names and keeps when trimming.</summary>
        private static Action<ServiceBinderBase, TService?> FindBind<TService>()
            where TService : class
        {
            for (var type = typeof(TService); type is not null; type = type.BaseType)
                if (type.GetCustomAttribute<BindServiceMethodAttribute>(inherit: false) is { } attribute
                    && attribute.BindType.GetMethod(
                        attribute.BindMethodName, BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic, [typeof(ServiceBinderBase), type]) is { } bind)
                    return bind.CreateDelegate<Action<ServiceBinderBase, TService?>>();
            throw new InvalidOperationException($"{typeof(TService)} does not derive from a generated gRPC service base class.");
        }
    }

    public sealed class GrpcServiceEndpointConventionBuilder : IEndpointConventionBuilder
    {
        private readonly IReadOnlyList<IEndpointConventionBuilder> endpoints;

        internal GrpcServiceEndpointConventionBuilder(IReadOnlyList<IEndpointConventionBuilder> endpoints) => this.endpoints = endpoints;

        public void Add(Action<EndpointBuilder> convention)
        {
            foreach (var endpoint in endpoints)
                endpoint.Add(convention);
        }

        public void Finally(Action<EndpointBuilder> finallyConvention)
        {
            foreach (var endpoint in endpoints)
                endpoint.Finally(finallyConvention);
        }
    }
}

namespace Grpc.Core
{
    public static class ServerCallContextExtensions
    {
        /// <summary>The request below the call: connection, user, services.</summary>
        public static HttpContext GetHttpContext(this ServerCallContext serverCallContext) =>
            serverCallContext is HttpServerCall call
                ? call.Http
                : serverCallContext.UserState.TryGetValue("__HttpContext", out var http) && http is HttpContext found
                    ? found
                    : throw new InvalidOperationException("Could not get HttpContext from ServerCallContext.");
    }
}
