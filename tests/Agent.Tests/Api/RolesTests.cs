using System.Reflection;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Access;
using Agent.Daemon.Api;
using Agent.Daemon.Configuration;
using Agent.Tests.Fakes;
using Google.Protobuf.Reflection;
using Grpc.Core;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging.Abstractions;

namespace Agent.Tests.Api;

public sealed class RolesTests : IDisposable
{
    private const uint Viewers = 989, Deployers = 990, Admins = 991;

    private readonly TemporaryDirectory directory = new();

    private static readonly Type[] Types = [typeof(AgentService), typeof(DatabaseService), typeof(RolloutService), typeof(PushService), typeof(AccessService)];

    public static TheoryData<string> Calls => [.. Methods.Select(method => method.Name).Where(name => name != "Pair")];

    private static IEnumerable<MethodDescriptor> Methods => V1.AgentReflection.Descriptor.Services.Concat(V1.DatabaseReflection.Descriptor.Services)
        .Concat(V1.FleetReflection.Descriptor.Services).SelectMany(service => service.Methods);

    public void Dispose() => directory.Dispose();

    [Fact]
    public void Every_call_has_a_role_and_no_other_name_has() => Assert.Equal(Methods.Select(method => method.Name).Order(), Roles.Demands.Keys.Order());

    [Fact]
    public void No_call_is_for_everybody_but_the_one_that_takes_a_code() => Assert.Equal(["Pair"], Roles.Demands.Where(demand => demand.Value.Role == Role.None).Select(demand => demand.Key));

    [Fact]
    public void A_call_that_nobody_thought_of_is_for_admins() => Assert.Equal(Role.Admin, Roles.Of("/agent.v1.AgentService/Explode").Role);

    [Theory]
    [MemberData(nameof(Calls))]
    public async Task Every_call_refuses_who_has_less_than_its_role_and_leaves_a_record(string name)
    {
        uint below = Roles.Demands[name].Role switch { Role.Viewer => 1000, Role.Deployer => Viewers, _ => Deployers };
        var refused = await Assert.ThrowsAsync<RpcException>(() => CallAsync(name, below, Activator.CreateInstance(Request(name))!));
        Assert.Equal(StatusCode.PermissionDenied, refused.StatusCode);
        Assert.Contains("usermod", global::Agent.Protos.Errors.FromException(refused)!.Remedy, StringComparison.Ordinal);
        AuditEntry record = Assert.Single(Audit().Read(10));
        Assert.Equal((true, "uid 54321", "pid 4711 on the agent's socket"), (record.Refused, record.By, record.From));
        Assert.Contains("may not", record.Outcome, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Calls))]
    public async Task Every_call_lets_in_who_has_its_role(string name)
    {
        uint enough = Roles.Demands[name].Role switch { Role.Viewer => Viewers, Role.Deployer => Deployers, _ => Admins };
        RpcException? ended = null;
        try
        {
            await CallAsync(name, enough, Activator.CreateInstance(Request(name))!);
        }
        catch (RpcException e)
        {
            ended = e;   // behind the door there is no engine here
        }
        Assert.NotEqual(StatusCode.PermissionDenied, ended?.StatusCode ?? StatusCode.OK);
    }

    [Fact]
    public async Task To_force_takes_an_admin()
    {
        var request = new V1.DeployRequest { App = "shop", Version = "v1.0.0", Force = true };
        var refused = await Assert.ThrowsAsync<RpcException>(() => CallAsync("Deploy", Deployers, request));
        Assert.Equal("uid 54321 may not deploy v1.0.0 --force: it is deployer, and that takes admin", refused.Status.Detail);
        AuditEntry record = Assert.Single(Audit().Read(10));
        Assert.Equal(("deployer", "deploy v1.0.0 --force", "shop", true), (record.Role, record.Wish, record.App, record.Refused));
        Assert.NotEqual(StatusCode.PermissionDenied, (await Assert.ThrowsAsync<RpcException>(() => CallAsync("Deploy", Admins, request))).StatusCode);
    }

    [Fact]
    public async Task A_change_that_goes_wrong_behind_the_door_leaves_a_record_too()
    {
        await Assert.ThrowsAsync<RpcException>(() => CallAsync("Hold", Deployers, new V1.HoldRequest { App = "shp", Reason = "night" }));
        AuditEntry record = Assert.Single(Audit().Read(10));
        Assert.Equal(("deployer", "hold because: night", "shp", true, "no app shp"), (record.Role, record.Wish, record.App, record.Refused, record.Outcome));
    }

    [Theory]
    [InlineData("one\ntwo")]
    [InlineData("\u202eback")]
    public async Task A_reason_that_would_forge_a_line_is_refused(string reason)
    {
        var refused = await Assert.ThrowsAsync<RpcException>(() => CallAsync("Hold", Deployers, new V1.HoldRequest { App = "shop", Reason = reason }));
        Assert.Equal("the reason holds control characters", refused.Status.Detail);
        Assert.DoesNotContain(Assert.Single(Audit().Read(10)).Wish, c => char.IsControl(c) || c == '\u202e');
    }

    private static Type Request(string name) => Methods.Single(method => method.Name == name).InputType.ClrType;

    private AuditLog Audit() => new(new Disk(), Path.Combine(directory.Path, "audit"), NullLogger<AuditLog>.Instance);

    private async Task CallAsync(string name, uint group, object request)
    {
        Type type = Types.Single(one => one.Name == Methods.Single(method => method.Name == name).Service.Name);
        var clients = new Clients(new Disk(), directory.Path, TimeProvider.System, NullLogger<Clients>.Instance);
        var calls = new ApiCalls(
            new OneApp(), new Callers(new RoleGroups([Viewers], [Deployers], [Admins], []), AgentFile.Defaults, clients, null), Audit(), new RefusalBudget(TimeProvider.System), TimeProvider.System, new Lifetime(), NullLogger<AgentService>.Instance);
        // Behind the door there is nothing.
        object service = type.GetConstructors().Single().Invoke([.. type.GetConstructors().Single().GetParameters().Select(parameter => parameter.ParameterType switch
        {
            var t when t == typeof(ApiCalls) => calls,
            var t when t == typeof(IConfiguration) => new OneApp(),
            var t when t == typeof(AuditLog) => Audit(),
            var t when t == typeof(TimeProvider) => TimeProvider.System,
            var t when t == typeof(Clients) => clients,
            _ => (object?)null,
        })]);
        MethodInfo method = type.GetMethod(name)!;
        var context = new Context($"/agent.v1.{type.Name}/{name}", new PeerCredentials(4711, 54321, group, []));
        // A caller that streams has nothing to say.
        Type first = method.GetParameters()[0].ParameterType;
        if (first.IsGenericType) request = typeof(NoReader<>).MakeGenericType(first.GetGenericArguments()).GetConstructors()[0].Invoke([]);
        object?[] arguments = method.GetParameters().Length == 3
            ? [request, typeof(NoWriter<>).MakeGenericType(method.GetParameters()[1].ParameterType.GetGenericArguments()).GetConstructors()[0].Invoke([]), context]
            : [request, context];
        await (Task)method.Invoke(service, arguments)!;
    }

    private sealed class NoReader<T> : IAsyncStreamReader<T>
    {
        public T Current => throw new NotSupportedException();

        public Task<bool> MoveNext(CancellationToken cancellationToken) => Task.FromResult(false);
    }

    private sealed class NoWriter<T> : IServerStreamWriter<T>
    {
        public WriteOptions? WriteOptions { get; set; }

        public Task WriteAsync(T message) => throw new NotSupportedException();

        public Task WriteAsync(T message, CancellationToken cancellationToken) => throw new NotSupportedException();
    }

    private sealed class OneApp : IConfiguration
    {
        public AgentOptions Agent => AgentFile.Defaults;

        public IReadOnlyList<AppOptions> Apps { get; } = [new AppOptions(new AppName("shop"), null, new Dictionary<string, string>(), null, null, null, 3)];

        public AppOptions App(AppName name) => name.Value == "shop" ? Apps[0] : throw new OperatorException(ExitCode.Usage, $"no app {name}", "name one of shop");

        public AppDefinition Define(AppName app, string? releaseYaml) => throw new NotSupportedException();

        public IReadOnlyDictionary<string, string> Secrets(string secretsFile) => throw new NotSupportedException();

        public void Check()
        {
        }

        public string Effective(AppName? app, string? releaseYaml) => throw new NotSupportedException();
    }

    private sealed class Lifetime : IHostApplicationLifetime
    {
        public CancellationToken ApplicationStarted => default;

        public CancellationToken ApplicationStopping => default;

        public CancellationToken ApplicationStopped => default;

        public void StopApplication() => throw new NotSupportedException();
    }

    private sealed class Context : ServerCallContext
    {
        private readonly string method;

        public Context(string method, PeerCredentials peer)
        {
            this.method = method;
            var http = new DefaultHttpContext();
            http.Features.Set(peer);
            UserStateCore["__HttpContext"] = http;
        }

        protected override string MethodCore => method;

        protected override string HostCore => "localhost";

        protected override string PeerCore => "unknown";

        protected override DateTime DeadlineCore => DateTime.MaxValue;

        protected override Metadata RequestHeadersCore { get; } = [];

        protected override CancellationToken CancellationTokenCore => default;

        protected override Metadata ResponseTrailersCore { get; } = [];

        protected override Status StatusCore { get; set; }

        protected override WriteOptions? WriteOptionsCore { get; set; }

        protected override AuthContext AuthContextCore => throw new NotSupportedException();

        protected override IDictionary<object, object> UserStateCore { get; } = new Dictionary<object, object>();

        protected override ContextPropagationToken CreatePropagationTokenCore(ContextPropagationOptions? options) => throw new NotSupportedException();

        protected override Task WriteResponseHeadersAsyncCore(Metadata responseHeaders) => throw new NotSupportedException();
    }
}
