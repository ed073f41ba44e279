using System.Net.Sockets;
using Agent.Artifacts;
using Agent.Daemon.Api;
using Agent.Protos;
using Agent.V1;
using Grpc.Core;

namespace Agent.Tests.Api;

public sealed class AgentApiTests : IDisposable
{
    private readonly string directory = Directory.CreateTempSubdirectory("agentapi-").FullName;

    private string SocketPath => Path.Combine(directory, "agentd.sock");

    public void Dispose() => Directory.Delete(directory, recursive: true);

    [Fact]
    public async Task Answers_on_a_socket_that_only_root_and_the_groups_may_open()
    {
        await using ApiHost api = await ApiHost.StartAsync(SocketPath);
        Assert.Equal(AgentApi.Version, (await api.Client.GetVersionAsync(new GetVersionRequest(), cancellationToken: TestContext.Current.CancellationToken)).Version);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite, File.GetUnixFileMode(SocketPath));
    }

    [Fact]
    public async Task Tells_a_caller_who_it_is_here_and_what_time_it_is()
    {
        if (!Environment.IsPrivilegedProcess) Assert.Skip("only root has a role: run the tests as root");
        await using ApiHost api = await ApiHost.StartAsync(SocketPath);
        DateTimeOffset before = TimeProvider.System.GetUtcNow();
        GetVersionResponse told = await api.Client.GetVersionAsync(new GetVersionRequest(), cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal(("uid 0 (root)", "admin"), (told.By, told.Role));
        Assert.InRange(told.Now.ToDateTimeOffset(), before, TimeProvider.System.GetUtcNow());
    }

    [Fact]
    public async Task An_operators_error_comes_with_its_remedy_and_exit_status()
    {
        await using ApiHost api = await ApiHost.StartAsync(SocketPath);
        var e = await Assert.ThrowsAsync<RpcException>(async () => await api.Client.ListReleasesAsync(new ListReleasesRequest { App = "shp" }, cancellationToken: TestContext.Current.CancellationToken));
        Assert.Equal(StatusCode.InvalidArgument, e.StatusCode);
        Assert.Equal(new OperatorError { What = "no app shp", Remedy = "name one of shop", ExitCode = 2 }, Errors.FromException(e));
    }

    [Fact]
    public async Task A_bug_tells_an_id_that_the_log_has_and_nothing_more()
    {
        await using ApiHost api = await ApiHost.StartAsync(SocketPath);
        var e = await Assert.ThrowsAsync<RpcException>(async () => await api.Client.ListReleasesAsync(new ListReleasesRequest { App = "bug" }, cancellationToken: TestContext.Current.CancellationToken));
        Assert.Equal(StatusCode.Internal, e.StatusCode);
        OperatorError told = Errors.FromException(e)!;
        Assert.DoesNotContain("secret", told.What, StringComparison.Ordinal);
        string id = told.Remedy[^12..];
        Assert.Contains(api.Logged, line => line.Contains(id, StringComparison.Ordinal) && line.Contains("secret", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Poll_looks_at_the_store_and_tells_what_it_found()
    {
        if (!Environment.IsPrivilegedProcess) Assert.Skip("only root may poll: run the tests as root");
        await using ApiHost api = await ApiHost.StartAsync(SocketPath);
        PollResponse polled = await api.Client.PollAsync(new PollRequest(), cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal(("shop", "", 4), (polled.Results.Single().App, polled.Results.Single().Deployment, polled.Results.Single().Error.ExitCode));
        Assert.Contains(api.Logged, line => line.Contains("poll asked by uid 0 (root)", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_standard_health_service_answers()
    {
        await using ApiHost api = await ApiHost.StartAsync(SocketPath);
        var health = new Grpc.Health.V1.Health.HealthClient(api.Channel);
        Assert.Equal(Grpc.Health.V1.HealthCheckResponse.Types.ServingStatus.Serving,
            (await health.CheckAsync(new Grpc.Health.V1.HealthCheckRequest(), cancellationToken: TestContext.Current.CancellationToken)).Status);
    }

    [Fact]
    public async Task A_socket_that_a_killed_agent_left_is_replaced()
    {
        using (var left = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            left.Bind(new UnixDomainSocketEndPoint(Path.Combine(directory, "other.sock")));
            File.Move(Path.Combine(directory, "other.sock"), SocketPath);   // so that closing it does not remove the file
        }
        Assert.True(Path.Exists(SocketPath));
        await using ApiHost api = await ApiHost.StartAsync(SocketPath);
        await api.Client.GetVersionAsync(new GetVersionRequest(), cancellationToken: TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task A_socket_of_a_living_agent_is_left_alone()
    {
        await using ApiHost api = await ApiHost.StartAsync(SocketPath);
        var e = await Assert.ThrowsAsync<OperatorException>(() => ApiHost.StartAsync(SocketPath));
        Assert.Equal(ExitCode.Refused, e.Code);
        await api.Client.GetVersionAsync(new GetVersionRequest(), cancellationToken: TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task A_file_that_is_no_socket_is_left_alone()
    {
        File.WriteAllText(SocketPath, "precious");
        Assert.Equal(ExitCode.Refused, (await Assert.ThrowsAsync<OperatorException>(() => ApiHost.StartAsync(SocketPath))).Code);
        Assert.Equal("precious", File.ReadAllText(SocketPath));
    }

    [Fact]
    public async Task A_directory_that_is_missing_is_told()
    {
        string nowhere = Path.Combine(directory, "nowhere");
        var e = await Assert.ThrowsAsync<OperatorException>(() => ApiHost.StartAsync(Path.Combine(nowhere, "agentd.sock")));
        Assert.Equal((ExitCode.Refused, $"agentd cannot listen at {nowhere}/agentd.sock: there is no directory {nowhere}"), (e.Code, e.Message));
    }
}
