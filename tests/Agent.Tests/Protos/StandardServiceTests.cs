using Agent.Protos;
using Agent.V1;
using Google.Protobuf.Reflection;
using Grpc.Core;
using Grpc.Health.V1;
using Grpc.Reflection.V1;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using static Grpc.Health.V1.HealthCheckResponse.Types;
using V1Alpha = Grpc.Reflection.V1Alpha;

namespace Agent.Tests.Protos;

/// <summary>Health and reflection, as tools use them.</summary>
public class StandardServiceTests
{
    [Fact]
    public async Task Health_answers_and_tells_those_who_watch()
    {
        var health = new HealthService();
        await using var server = await TestServer.StartAsync(services => services.AddSingleton(health).AddGrpc(), app => app.MapGrpcService<HealthService>());
        var client = new Grpc.Health.V1.Health.HealthClient(server.Channel());
        Assert.Equal(ServingStatus.Serving, (await client.CheckAsync(new HealthCheckRequest())).Status);
        var unknown = await Assert.ThrowsAsync<RpcException>(() => client.CheckAsync(new HealthCheckRequest { Service = "x" }).ResponseAsync);
        Assert.Equal(StatusCode.NotFound, unknown.StatusCode);
        using var watch = client.Watch(new HealthCheckRequest { Service = "x" });
        foreach (var status in (ServingStatus[])[ServingStatus.ServiceUnknown, ServingStatus.Serving, ServingStatus.NotServing])
        {
            if (status != ServingStatus.ServiceUnknown)
            {
                health.SetStatus("x", status);
                health.SetStatus("another", status);
            }
            Assert.True(await watch.ResponseStream.MoveNext(CancellationToken.None));
            Assert.Equal(status, watch.ResponseStream.Current.Status);
        }
    }

    [Fact]
    public async Task Reflection_lists_services_and_gives_their_files_with_imports()
    {
        await using var server = await StartReflectionAsync();
        using var call = new ServerReflection.ServerReflectionClient(server.Channel()).ServerReflectionInfo();
        var services = await AskAsync(call, new ServerReflectionRequest { ListServices = "*" });
        Assert.Equal(["agent.v1.AgentService", "grpc.health.v1.Health"], services.ListServicesResponse.Service.Select(service => service.Name));
        foreach (var symbol in (string[])["agent.v1.AgentService", "agent.v1.AgentService.Deploy", "agent.v1.StepEvent", "agent.v1.StepEvent.Phase", "agent.v1.Outcome"])
        {
            var files = await AskAsync(call, new ServerReflectionRequest { FileContainingSymbol = symbol });
            Assert.Equal(
                ["agent/v1/agent.proto", "google/protobuf/duration.proto", "google/protobuf/timestamp.proto"],
                files.FileDescriptorResponse.FileDescriptorProto.Select(bytes => FileDescriptorProto.Parser.ParseFrom(bytes).Name).Order(StringComparer.Ordinal));
        }
        var file = await AskAsync(call, new ServerReflectionRequest { FileByFilename = "google/protobuf/timestamp.proto" });
        Assert.Single(file.FileDescriptorResponse.FileDescriptorProto);
        var unknown = await AskAsync(call, new ServerReflectionRequest { FileContainingSymbol = "no.such.Thing" });
        Assert.Equal((int)StatusCode.NotFound, unknown.ErrorResponse.ErrorCode);
    }

    [Fact]
    public async Task Older_tools_ask_the_same_under_the_older_name()
    {
        await using var server = await StartReflectionAsync();
        using var call = new V1Alpha.ServerReflection.ServerReflectionClient(server.Channel()).ServerReflectionInfo();
        await call.RequestStream.WriteAsync(new V1Alpha.ServerReflectionRequest { ListServices = "" });
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
        Assert.Equal(2, call.ResponseStream.Current.ListServicesResponse.Service.Count);
    }

    private static Task<TestServer> StartReflectionAsync() => TestServer.StartAsync(
        services => services
            .AddSingleton(_ => new ReflectionService(AgentReflection.Descriptor, HealthReflection.Descriptor))
            .AddGrpc(),
        app =>
        {
            app.MapGrpcService<ReflectionService>();
            app.MapGrpcService<ReflectionV1AlphaService>();
        });

    private static async Task<ServerReflectionResponse> AskAsync(
        AsyncDuplexStreamingCall<ServerReflectionRequest, ServerReflectionResponse> call, ServerReflectionRequest request)
    {
        await call.RequestStream.WriteAsync(request);
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
        return call.ResponseStream.Current;
    }
}
