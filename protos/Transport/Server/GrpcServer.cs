using System.Diagnostics.CodeAnalysis;
using Grpc.AspNetCore.Server;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Agent.Protos.Transport;

/// <summary>What all calls of one application share.</summary>
internal sealed class GrpcServer(IOptions<GrpcServiceOptions> options, ILogger<GrpcServer> logger, IServiceProvider services)
{
    private bool unknownIsMapped;

    public GrpcServiceOptions Options { get; } = options.Value;

    public ILogger Logger { get; } = logger;

    public TimeProvider Time { get; } = services.GetService<TimeProvider>() ?? TimeProvider.System;

    /// <summary>Answers gRPC calls that no service has; other requests to such paths are not found, as before.</summary>
    public void MapUnknown(IEndpointRouteBuilder builder)
    {
        if (unknownIsMapped)
            return;
        unknownIsMapped = true;
        builder.Map("{service}/{method}", http =>
        {
            if (Wire.IsGrpc(http.Request.ContentType))
                HttpServerCall.Refuse(http, StatusCodes.Status200OK, new Status(StatusCode.Unimplemented, "Method is unimplemented."));
            else
                http.Response.StatusCode = StatusCodes.Status404NotFound;
            return Task.CompletedTask;
        }).WithDisplayName("gRPC - unimplemented").Add(endpoint => ((RouteEndpointBuilder)endpoint).Order = int.MaxValue);
    }
}

/// <summary>Makes an endpoint of each method of a service.</summary>
/// <remarks>
/// The generated BindService tells the methods when it is given no instance, and binds an instance's own when it is given one.
/// So each call binds the instance that its scope holds, and keeps the one handler that it wants: no reflection on methods.
/// </remarks>
internal sealed class ServiceMapper<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TService>(
    IEndpointRouteBuilder builder, GrpcServer server, Action<ServiceBinderBase, TService?> bind, List<IEndpointConventionBuilder> endpoints) : ServiceBinderBase
    where TService : class
{
    private static readonly string[] Post = [HttpMethods.Post];

    public void Map() => bind(this, null);

    public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, UnaryServerMethod<TRequest, TResponse>? handler) =>
        Map<UnaryServerMethod<TRequest, TResponse>>(method, async (call, handle) =>
        {
            var request = await call.ReadSingleAsync(method.RequestMarshaller).ConfigureAwait(false);
            await call.WriteSingleAsync(method.ResponseMarshaller, await handle(request, call).ConfigureAwait(false)).ConfigureAwait(false);
        });

    public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, ClientStreamingServerMethod<TRequest, TResponse>? handler) =>
        Map<ClientStreamingServerMethod<TRequest, TResponse>>(method, async (call, handle) =>
        {
            var requests = new RequestReader<TRequest>(call, method.RequestMarshaller);
            await call.WriteSingleAsync(method.ResponseMarshaller, await handle(requests, call).ConfigureAwait(false)).ConfigureAwait(false);
        });

    public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, ServerStreamingServerMethod<TRequest, TResponse>? handler) =>
        Map<ServerStreamingServerMethod<TRequest, TResponse>>(method, async (call, handle) =>
        {
            var request = await call.ReadSingleAsync(method.RequestMarshaller).ConfigureAwait(false);
            await handle(request, new ResponseWriter<TResponse>(call, method.ResponseMarshaller), call).ConfigureAwait(false);
        });

    public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, DuplexStreamingServerMethod<TRequest, TResponse>? handler) =>
        Map<DuplexStreamingServerMethod<TRequest, TResponse>>(method, (call, handle) =>
            handle(new RequestReader<TRequest>(call, method.RequestMarshaller), new ResponseWriter<TResponse>(call, method.ResponseMarshaller), call));

    private void Map<THandler>(IMethod method, Func<HttpServerCall, THandler, Task> run)
        where THandler : Delegate =>
        endpoints.Add(builder.MapMethods(method.FullName, Post, http => HttpServerCall.RunAsync(http, server, method, async call =>
        {
            var registered = http.RequestServices.GetService<TService>();
            var service = registered ?? ActivatorUtilities.CreateInstance<TService>(http.RequestServices);
            try
            {
                var binder = new HandlerOf<THandler>(method);
                bind(binder, service);
                await run(call, binder.Found!).ConfigureAwait(false);
            }
            finally
            {
                if (registered is null)
                    await DisposeAsync(service).ConfigureAwait(false);
            }
        })).WithDisplayName($"gRPC - {method.FullName}"));

    private static async ValueTask DisposeAsync(TService service)
    {
        if (service is IAsyncDisposable later)
            await later.DisposeAsync().ConfigureAwait(false);
        else
            (service as IDisposable)?.Dispose();
    }

    private sealed class HandlerOf<THandler>(IMethod wanted) : ServiceBinderBase
        where THandler : Delegate
    {
        public THandler? Found { get; private set; }

        public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, UnaryServerMethod<TRequest, TResponse>? handler) => Keep(method, handler);

        public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, ClientStreamingServerMethod<TRequest, TResponse>? handler) => Keep(method, handler);

        public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, ServerStreamingServerMethod<TRequest, TResponse>? handler) => Keep(method, handler);

        public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, DuplexStreamingServerMethod<TRequest, TResponse>? handler) => Keep(method, handler);

        private void Keep(IMethod method, Delegate? handler)
        {
            if (ReferenceEquals(method, wanted))
                Found = (THandler?)handler;
        }
    }
}

internal static partial class Log
{
    [LoggerMessage(2200, LogLevel.Error, "{Method} failed unexpectedly")]
    public static partial void HandlerFailed(this ILogger logger, string method, Exception exception);

    [LoggerMessage(2201, LogLevel.Debug, "{Method} ended with {Code}: {Detail}")]
    public static partial void CallRefused(this ILogger logger, string method, StatusCode code, string detail);
}
