using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.RegularExpressions;
using Agent.Cli;
using Agent.Cli.Hosts;
using Agent.Cli.Rendering;
using Agent.Daemon.State;
using Agent.Tests.Api;
using Agent.Tests.Fakes;

namespace Agent.Tests.Cli.Rollouts;

/// <summary>agentctl and the agents of four hosts together; only the worlds below the engines are simulated.</summary>
public sealed partial class RolloutCommandTests : IAsyncLifetime
{
    private static readonly string[] names = ["web1", "web2", "web3", "db1"];

    private readonly TemporaryDirectory home = new();
    private readonly Dictionary<string, World> worlds = names.ToDictionary(name => name, _ => World.New());
    private readonly Dictionary<string, WorldAgent> agents = [];
    private readonly HashSet<string> cutOff = [];
    private readonly ConcurrentBag<Stream> connections = [];
    private Workplace workplace = null!;

    public async ValueTask InitializeAsync()
    {
        if (!Environment.IsPrivilegedProcess) Assert.Skip("only root may deploy: run the tests as root");
        foreach ((string name, World world) in worlds)
        {
            agents[name] = await WorldAgent.StartAsync(world);
            await world.DeployAsync("v1.0.0");
            world.Configuration.For = "v1.1.0";
        }
        home.Write("config/hosts.yaml", """
            hosts:
              web1: ssh://web1
              web2: ssh://web2
              web3: ssh://web3
              db1: ssh://db1
            groups:
              web: [web1, web2, web3]
              prod: [web1, web2, web3, db1]

            """);
        workplace = new Workplace(Path.Combine(home.Path, "config"), home.Path, home.Path)
        {
            Dial = (host, _) => new Dialer(this, host.Name),
        };
    }

    public async ValueTask DisposeAsync()
    {
        foreach (WorldAgent agent in agents.Values) await agent.DisposeAsync();
        foreach (World world in worlds.Values) world.Dispose();
        home.Dispose();
    }

    [Fact]
    public async Task A_version_goes_over_a_group_batch_by_batch_and_every_host_knows_of_it()
    {
        (int exit, string text) = await RunAsync("deploy", "v1.1.0", "--host", "prod", "--canary", "1", "--batch", "2");
        Assert.True(exit == 0, text);
        Assert.Matches("^rollout r[0-9]{8}-[0-9]{4}-[0-9a-f]{6}  shop v1.1.0 on 4 hosts in 3 batches, driven by .*\n", text);
        Assert.Contains("batch 1 of 3: web1\nweb1  v1.0.0 -> v1.1.0\nweb1  fetch\n", text, StringComparison.Ordinal);
        Assert.Matches("web1  live after [0-9.]+ s\n", text);
        Assert.Contains("batch 2 of 3: web2, web3\n", text, StringComparison.Ordinal);
        Assert.EndsWith("  4 live\n", text, StringComparison.Ordinal);
        Assert.All(worlds.Values, world => Assert.Equal("v1.1.0", world.Engine.State(World.Shop).Current!.Version));
        string id = IdOf(text);
        Assert.All(worlds.Values, world => Assert.Equal((id, RolloutState.Finished), (world.Engine.State(World.Shop).Rollouts[0].Id, world.Engine.State(World.Shop).Rollouts[0].State)));
        Assert.All(worlds.Values, world => Assert.Equal(id, world.Engine.State(World.Shop).Deployments[^1].Rollout));
        (exit, text) = await RunAsync("rollouts");
        Assert.Equal(0, exit);
        Assert.Matches($"{id}  shop  v1.1.0   finished  4/4", text);
        (exit, text) = await RunAsync("rollout", "show", id, "--host", "web3");
        Assert.Equal(0, exit);
        Assert.Matches("db1   3      live    shop-2", text);
        (exit, text) = await RunAsync("deploy", "v1.1.0", "--host", "prod");
        Assert.Equal((0, "left out  web1: runs v1.1.0 already\nleft out  web2: runs v1.1.0 already\nleft out  web3: runs v1.1.0 already\nleft out  db1: runs v1.1.0 already\n"), (exit, text));
    }

    [Fact]
    public async Task A_failure_stops_it_and_the_hosts_tell_why()
    {
        worlds["web2"].Configuration.For = "v1.1.0";
        worlds["web2"].System.Broken.Add("v1.1.0");
        (int exit, string text) = await RunAsync("deploy", "v1.1.0", "--host", "web");
        Assert.Equal(1, exit);
        Assert.Matches("web2  rolled back after [0-9.]+ s: ", text);
        Assert.Contains("  paused: web2 rolled back\n", text, StringComparison.Ordinal);
        string id = IdOf(text);
        Assert.Contains($"error: rollout {id} is paused (web2 rolled back): 1 rolled back, 1 live, 1 waiting\n", text, StringComparison.Ordinal);
        Assert.Contains($"agentctl rollout resume {id} --max-failures 2", text, StringComparison.Ordinal);
        Assert.Equal("v1.0.0", worlds["web3"].Engine.State(World.Shop).Current!.Version);
        (exit, text) = await RunAsync("rollout", "resume", id);
        Assert.Equal(1, exit);
        Assert.Equal("v1.0.0", worlds["web3"].Engine.State(World.Shop).Current!.Version);
        Assert.Contains("so far  1 rolled back, 1 live, 1 waiting\n", text, StringComparison.Ordinal);
        (exit, text) = await RunAsync("rollout", "resume", id, "--max-failures", "2");
        Assert.Equal(1, exit);
        Assert.Equal("v1.1.0", worlds["web3"].Engine.State(World.Shop).Current!.Version);
        Assert.Single(worlds["web2"].Engine.State(World.Shop).Deployments, deployment => deployment.Rollout == id);
        Assert.Equal(5, (await RunAsync("rollout", "resume", id)).Exit);
    }

    [Fact]
    public async Task All_go_back_where_that_is_wanted()
    {
        worlds["web3"].System.Broken.Add("v1.1.0");
        (int exit, string text) = await RunAsync("deploy", "v1.1.0", "--host", "web", "--rollback-all");
        Assert.True(exit == 1, text);
        Assert.Contains("going back: web2\n", text, StringComparison.Ordinal);
        Assert.All(worlds.Values, world => Assert.Equal("v1.0.0", world.Engine.State(World.Shop).Current!.Version));
        Assert.Contains("1 rolled back, 2 went back", text.Replace("2 went back, 1 rolled back", "1 rolled back, 2 went back", StringComparison.Ordinal), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Hosts_that_cannot_be_reached_are_told_before_anything_begins()
    {
        cutOff.Add("web2");
        (int exit, string text) = await RunAsync("deploy", "v1.1.0", "--host", "web");
        Assert.Equal(4, exit);
        Assert.StartsWith("error: nothing has begun: web2 cannot be reached: ", text, StringComparison.Ordinal);
        Assert.Contains("--skip-unreachable", text, StringComparison.Ordinal);
        Assert.All(worlds.Values, world => Assert.Empty(world.Engine.State(World.Shop).Rollouts));
        (exit, text) = await RunAsync("deploy", "v1.1.0", "--host", "web", "--skip-unreachable");
        Assert.Equal(0, exit);
        Assert.Contains("left out  web2: unreachable\n", text, StringComparison.Ordinal);
        Assert.Equal(["v1.1.0", "v1.0.0", "v1.1.0", "v1.0.0"], names.Select(name => worlds[name].Engine.State(World.Shop).Current!.Version));
    }

    [Fact]
    public async Task A_pause_from_elsewhere_stops_whoever_drives_and_another_goes_on()
    {
        Task<string> stopped = worlds["web1"].StopAtAsync(Step.Gate);
        Task<(int Exit, string Text)> driving = RunAsync("deploy", "v1.1.0", "--host", "web");
        await stopped;
        string id = worlds["web1"].Engine.State(World.Shop).Rollouts[0].Id;
        (int exit, string text) = await RunAsync("rollout", "pause", id, "--reason", "lunch");
        Assert.Equal((0, $"rollout {id}  paused: what is under way ends by itself, nothing new starts\n"), (exit, text));
        worlds["web1"].GoOn();
        (exit, text) = await driving;
        Assert.Equal(130, exit);
        Assert.Contains($"error: rollout {id}: it is paused, by ", text, StringComparison.Ordinal);
        Assert.Equal("v1.0.0", worlds["web2"].Engine.State(World.Shop).Current!.Version);
        (exit, text) = await RunAsync("rollout", "resume", id, "--host", "web2");
        Assert.True(exit == 0, text);
        Assert.Equal(["v1.1.0", "v1.1.0", "v1.1.0", "v1.0.0"], names.Select(name => worlds[name].Engine.State(World.Shop).Current!.Version));
        Assert.Equal(5, (await RunAsync("rollout", "abort", id)).Exit);
        Assert.Equal(2, (await RunAsync("rollout", "abort", "r-1")).Exit);
    }

    [Fact]
    public async Task Ctrl_c_without_a_terminal_leaves_it_and_another_machine_goes_on()
    {
        using var ctrlC = new CancellationTokenSource();
        Task<string> stopped = worlds["web1"].StopAtAsync(Step.Gate);
        Task<(int Exit, string Text)> driving = RunAsync(ctrlC.Token, "deploy", "v1.1.0", "--host", "web");
        await stopped;
        await ctrlC.CancelAsync();
        (int exit, string text) = await driving;
        Assert.Equal(130, exit);
        string id = IdOf(text);
        Assert.EndsWith($"fix:   agentctl rollout resume {id}\n", text, StringComparison.Ordinal);
        Task<(int Exit, string Text)> resuming = RunAsync("rollout", "resume", id);
        await Protos.Eventually.HoldsAsync(() => worlds["web3"].Engine.State(World.Shop).Rollouts[0].Revision == 2);
        worlds["web1"].GoOn();
        (exit, text) = await resuming;
        Assert.True(exit == 0, text);
        Assert.All(names[..3], name => Assert.Single(worlds[name].Engine.State(World.Shop).Deployments, deployment => deployment.Rollout == id));
    }

    [Theory]
    [InlineData('s', 130, "v1.1.0 v1.0.0 v1.0.0")]
    [InlineData('r', 1, "v1.0.0 v1.0.0 v1.0.0")]
    public async Task On_a_terminal_ctrl_c_asks(char key, int status, string versions)
    {
        using var ctrlC = new CancellationTokenSource();
        using var output = new StringWriter { NewLine = "\n" };
        var terminal = new Terminal(output, output, outputIsTerminal: true, errorIsTerminal: true, colour: false) { Width = () => 100, Key = () => key };
        Task<string> stopped = worlds["web1"].StopAtAsync(Step.Gate);
        Task<int> driving = AgentCtl.RunAsync(["deploy", "v1.1.0", "--host", "web"], terminal, TimeProvider.System, ctrlC.Token, workplace);
        await stopped;
        await ctrlC.CancelAsync();
        await Protos.Eventually.HoldsAsync(() => worlds["web3"].Engine.State(World.Shop).Rollouts[0].State is RolloutState.Paused or RolloutState.RollingBack);
        worlds["web1"].GoOn();
        Assert.Equal(status, await driving);
        Assert.Contains("[s]top after what is under way, [r]oll all back, [d]etach", output.ToString(), StringComparison.Ordinal);
        Assert.Equal(versions, string.Join(' ', names[..3].Select(name => worlds[name].Engine.State(World.Shop).Current!.Version)));
    }

    [Theory]
    [InlineData("web1")]
    [InlineData("web")]
    public async Task A_connection_that_is_lost_in_a_turn_is_made_again_and_shows_the_same_deployment(string hosts)
    {
        Task<string> stopped = worlds["web1"].StopAtAsync(Step.Gate);
        Task<(int Exit, string Text)> driving = RunAsync("deploy", "v1.1.0", "--host", hosts);
        await stopped;
        int before = connections.Count;
        foreach (Stream connection in connections) await connection.DisposeAsync();
        await Protos.Eventually.HoldsAsync(() => connections.Count > before);
        worlds["web1"].GoOn();
        (int exit, string text) = await driving;
        Assert.True(exit == 0, text);
        Assert.Equal(2, worlds["web1"].Engine.State(World.Shop).Deployments.Count);
        // Told once; or not at all, where it was over before the agent was asked again.
        Assert.InRange(Regex.Count(text, "(shop|web1)  v1.0.0 -> v1.1.0"), 0, 1);
    }

    [Fact]
    public async Task Hosts_that_tell_different_plans_are_not_believed()
    {
        (_, string text) = await RunAsync("deploy", "v1.1.0", "--host", "web", "--max-failures", "3");
        string id = IdOf(text);
        DeploymentEngineOf("db1").KeepRollout(World.Shop, Forged(id));
        (int exit, text) = await RunAsync("rollout", "resume", id);
        Assert.Equal(5, exit);
        Assert.Contains($"hosts tell different plans of rollout {id}: ", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Json_is_a_line_for_each_event_with_its_host()
    {
        (int exit, string text) = await RunAsync("deploy", "v1.1.0", "--host", "web", "-o", "json");
        Assert.Equal(0, exit);
        JsonElement[] lines = [.. text.TrimEnd('\n').Split('\n').Select(line => JsonDocument.Parse(line).RootElement)];
        Assert.Equal("rollout", lines[0].GetProperty("event").GetString());
        Assert.Equal("finished", lines[^1].GetProperty("details").GetProperty("state").GetString());
        Assert.Equal(["web1", "web2", "web3"], lines.Where(line => line.GetProperty("event").GetString() == "finished").Select(line => line.GetProperty("host").GetString()));
        (exit, text) = await RunAsync("rollout", "show", lines[0].GetProperty("details").GetProperty("id").GetString()!, "-o", "json");
        Assert.Equal(0, exit);
        Assert.Equal(["live", "live", "live"], JsonDocument.Parse(text).RootElement.GetProperty("hosts").EnumerateArray().Select(host => host.GetProperty("stand").GetString()));
    }

    [Fact]
    public async Task A_group_goes_back_as_it_came()
    {
        await RunAsync("deploy", "v1.1.0", "--host", "web");
        (int exit, string text) = await RunAsync("rollback", "--host", "web", "--batch", "3");
        Assert.True(exit == 0, text);
        Assert.Contains("shop back to the release before on 3 hosts in 1 batch", text, StringComparison.Ordinal);
        Assert.All(worlds.Values, world => Assert.Equal("v1.0.0", world.Engine.State(World.Shop).Current!.Version));
    }

    [Theory]
    [InlineData("deploy --host web", "which version?")]
    [InlineData("deploy v1.1.0 --host web --expect v1.0.0", "--expect is for one host")]
    [InlineData("deploy v1.1.0 --host web1 --batch 2", "--batch is for several hosts")]
    [InlineData("deploy v1.1.0 --host web --batch 0", "--batch is a number of hosts (2), or a share of them (25%)")]
    [InlineData("deploy v1.1.0 --host web --soak 10m", "--soak is for a canary")]
    [InlineData("deploy v1.1.0 --host web --pause x", "--pause is a time")]
    [InlineData("deploy v1.1.0 --host web --order first", "--order is listed, reversed or random")]
    [InlineData("rollback --host web --ignore-schema", "are for one host")]
    public async Task What_does_not_fit_is_told(string words, string error)
    {
        (int exit, string text) = await RunAsync(words.Split(' '));
        Assert.True(exit == 2 && text.Contains(error, StringComparison.Ordinal), text);
    }

    private Daemon.Deployments.DeploymentEngine DeploymentEngineOf(string host) => worlds[host].Engine;

    private static Rollout Forged(string id)
    {
        var plan = new V1.RolloutPlan { Version = "v0.9.0", Batches = { new V1.RolloutBatch { Hosts = { new V1.RolloutHost { Name = "web1", Address = "ssh://web1" } } } } };
        return new Rollout(id, 99, RolloutState.Running, "eve", "", DateTimeOffset.UnixEpoch, default, Google.Protobuf.MessageExtensions.ToByteArray(plan));
    }

    private static string IdOf(string text) => Id().Match(text).Value;

    private Task<(int Exit, string Text)> RunAsync(params string[] words) => RunAsync(TestContext.Current.CancellationToken, words);

    private async Task<(int Exit, string Text)> RunAsync(CancellationToken interrupt, params string[] words)
    {
        using var text = new StringWriter { NewLine = "\n" };
        int exit = await AgentCtl.RunAsync(words, Terminal.Plain(text, text), TimeProvider.System, interrupt, workplace);
        return (exit, text.ToString());
    }

    [GeneratedRegex("r[0-9]{8}-[0-9]{4}-[0-9a-f]{6}")]
    private static partial Regex Id();

    /// <summary>To the host's agent, over a connection that a test can break.</summary>
    private sealed class Dialer(RolloutCommandTests test, string host) : IDialer
    {
        public async ValueTask<Stream> ConnectAsync(CancellationToken cancellationToken)
        {
            using var dialer = new SocketDialer(test.cutOff.Contains(host) ? Path.Combine(test.home.Path, "nobody.sock") : test.agents[host].Socket);
            Stream connection = await dialer.ConnectAsync(cancellationToken);
            test.connections.Add(connection);
            return connection;
        }

        public void Dispose()
        {
        }
    }
}
