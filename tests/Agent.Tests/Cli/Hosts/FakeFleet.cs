using System.Text;
using Agent.Cli;
using Agent.Cli.Hosts;
using Agent.Cli.Rendering;
using Agent.Tests.Fakes;

namespace Agent.Tests.Cli.Hosts;

/// <summary>
/// The hosts web1, web2 and db1 with a <see cref="FakeAgent"/> each, and web3, whose agent does not run; all of them are <c>prod</c>.
/// Commands run in a project, below a home directory with a hosts.yaml.
/// </summary>
public sealed class FakeFleet : IAsyncLifetime
{
    public const string HostsYaml = """
        # hosts of the shop
        hosts:
          web1: ssh://web1      # the first
          web2: ssh://web2
          web3: ssh://web3
          db1: https://db1
        groups:
          prod: [web1, web2, web3, db1]
          web: [web1, web2]
          alone: [web1]

        """;

    private readonly TemporaryDirectory directory = new();
    private readonly Dictionary<string, FakeHost> hosts = new() { ["web1"] = new(), ["web2"] = new(), ["db1"] = new() };

    internal Workplace Workplace { get; private set; } = null!;

    internal FakeAgent this[string host] => hosts[host].Agent;

    public string Socket => hosts["web1"].Socket;

    public string Home => directory.Path;

    public async ValueTask InitializeAsync()
    {
        foreach (FakeHost host in hosts.Values) await host.InitializeAsync();
        Write("config/agentctl/hosts.yaml", HostsYaml);
        Directory.CreateDirectory(Path.Combine(Home, "shop"));
        Workplace = new Workplace(Path.Combine(Home, "config/agentctl"), Path.Combine(Home, "shop"), Home)
        {
            Dial = (host, _) => new SocketDialer(hosts.TryGetValue(host.Name, out FakeHost? fake) ? fake.Socket : host.Address is HostAddress.Local local ? local.Socket : Path.Combine(Home, $"{host.Name}.sock")),
        };
    }

    public string Write(string name, string content) => directory.Write(name, content);

    public async ValueTask DisposeAsync()
    {
        foreach (FakeHost host in hosts.Values) await host.DisposeAsync();
        directory.Dispose();
    }

    internal Task<int> RunAsync(Terminal terminal, CancellationToken cancellationToken, params string[] words) => AgentCtl.RunAsync(words, terminal, TimeProvider.System, cancellationToken, Workplace);

    public async Task<(int Exit, string Text)> RunAsync(params string[] words)
    {
        using var text = new StringWriter { NewLine = "\n" };
        int exit = await RunAsync(Terminal.Plain(text, text), TestContext.Current.CancellationToken, words);
        return (exit, text.ToString());
    }
}
