using Agent.TestHosts;

namespace Agent.SystemTests.Fleet;

/// <summary>
/// A host with an agent and sshd, one to jump through, and one that has agentctl and a key alone. Booted for the first test that asks. On the first there
/// are the users <c>deploy</c>, in the group of deployers, and <c>stranger</c>, in none.
/// </summary>
public sealed class SshFleet : IAsyncLifetime
{
    private const string Config = """
        Host shared
            HostName ssh-web
            HostKeyAlias ssh-web
            ControlMaster auto
            ControlPath /root/.ssh/shared-%C
            ControlPersist 60
        Host restricted
            HostName ssh-web
            HostKeyAlias ssh-web
            IdentityFile /root/.ssh/only
            IdentitiesOnly yes
        Host behind
            HostName ssh-web
            HostKeyAlias ssh-web
            ProxyJump ssh-jump
        """;

    private readonly List<IAsyncDisposable> hosts = [];
    private bool isUp;

    internal AgentHost Web { get; private set; } = null!;

    internal TestHost Jump { get; private set; } = null!;

    internal TestHost Client { get; private set; } = null!;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    internal async Task UpAsync(CancellationToken cancellationToken)
    {
        if (isUp) return;
        Assert.True(hosts.Count == 0, "the hosts did not come up");
        Client = await AddAsync(AgentHost.ClientUpAsync("ssh-client", "ssh", cancellationToken));
        string key = await SshHost.MakeKeyAsync(Client, cancellationToken);
        Jump = await AddAsync(TestHost.UpAsync("ssh-jump", new TestHostOptions { Network = "ssh" }, cancellationToken));
        await SshHost.StartAsync(Jump, [key], cancellationToken);
        var apps = new Dictionary<string, string> { ["shop"] = AgentHost.AppFile(start: "120s", stable: "1s") };
        Web = await AddAsync(AgentHost.UpAsync("ssh-web", $"store: {AgentHost.Store}\n", apps, cancellationToken, "ssh"));
        await SshHost.AddUserAsync(Web.Host, "deploy", "agentd", cancellationToken);
        await SshHost.AddUserAsync(Web.Host, "stranger", "", cancellationToken);
        await SshHost.StartAsync(Web.Host, [key], cancellationToken);
        await SshHost.KnowAsync(Client, [Web.Host, Jump], cancellationToken);
        await Client.WriteAsync("/root/.ssh/config", Config + "\n", cancellationToken);
        await Web.PublishAsync("v1.0.0", "ok", cancellationToken);
        await Web.DeployAsync("v1.0.0", cancellationToken);
        isUp = true;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (IAsyncDisposable host in hosts) await host.DisposeAsync();
    }

    private async Task<T> AddAsync<T>(Task<T> booting)
        where T : IAsyncDisposable
    {
        T host = await booting;
        hosts.Add(host);
        return host;
    }
}
