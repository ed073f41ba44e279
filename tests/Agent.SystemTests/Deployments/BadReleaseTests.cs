using Agent.Daemon.State;
using Agent.TestHosts;

namespace Agent.SystemTests.Deployments;

/// <summary>Releases that are bad, each in its own way, on one host.</summary>
public sealed class BadReleaseTests(BadReleaseTests.OneHost shared) : AgentTest, IClassFixture<BadReleaseTests.OneHost>
{
    private const string Good = "v1.0.0";

    [Theory]
    [InlineData("v2.0.1", "exit-at-once", "exit status 3")]
    [InlineData("v2.0.2", "never-listen", "not healthy within 8 s")]
    [InlineData("v2.0.3", "answer-500", "500")]
    [InlineData("v2.0.4", "die-after:1.5", "ended")]
    public async Task Goes_back_from_a_release_that(string version, string behaviour, string cause)
    {
        AgentHost host = await shared.GetAsync(Cancel);
        await host.PublishAsync(version, behaviour, Cancel);
        CommandResult deploy = await host.AgentctlAsync(["deploy", version, "--app", "shop"], Cancel);
        Assert.Equal(1, deploy.Exit);
        Assert.Contains(cause, deploy.Errors, StringComparison.Ordinal);
        Assert.Contains("rolled back", deploy.Errors, StringComparison.Ordinal);
        await AssertQuarantinedWithEvidenceAsync(host, version);
        await host.AssertAgreesAsync("shop", [Good], behaviour, Cancel);
        Assert.Equal(5, (await host.AgentctlAsync(["deploy", version, "--app", "shop"], Cancel)).Exit);
    }

    [Fact]
    public async Task Goes_back_to_a_release_that_hangs_on_stop_and_away_from_it()
    {
        AgentHost host = await shared.GetAsync(Cancel);
        await host.PublishAsync("v2.1.0", "hang-on-stop", Cancel);
        // A rendered unit waits 30 s.
        await host.Host.WriteAsync("/etc/systemd/system/shop.service.d/90-test.conf", "[Service]\nTimeoutStopSec=2s\n", Cancel);
        await host.DeployAsync("v2.1.0", Cancel);
        Assert.Equal("v2.1.0", await host.AnswerAsync(Cancel));

        // From one that hangs to one that hangs and is bad besides, and back again.
        await host.PublishAsync("v2.1.1", "none", Cancel, program: "#!/bin/sh\necho shop v2.1.1 starts\ntrap '' TERM\nwhile :; do sleep 1; done\n");
        Assert.Equal(1, (await host.AgentctlAsync(["deploy", "v2.1.1", "--app", "shop"], Cancel)).Exit);
        await AssertQuarantinedWithEvidenceAsync(host, "v2.1.1");
        await host.AssertAgreesAsync("shop", ["v2.1.0"], "back to the one that hangs", Cancel);

        (await host.AgentctlAsync(["rollback", Good, "--app", "shop"], Cancel)).Succeeded();
        await host.AssertAgreesAsync("shop", [Good], "from the one that hangs", Cancel);
    }

    [Fact]
    public async Task Leaves_nothing_of_a_first_release_that_is_bad()
    {
        AgentHost host = await shared.GetAsync(Cancel);
        await host.PublishAsync("v1.0.0", "exit-at-once", Cancel, "other");
        CommandResult deploy = await host.AgentctlAsync(["deploy", "v1.0.0", "--app", "other"], Cancel);
        Assert.Equal(1, deploy.Exit);
        await host.AssertAgreesAsync("other", [null], "after the bad one", Cancel, 8081);
        Assert.Equal("", await host.ShellAsync("pgrep --full '^[^ ]+ /srv/other/' || true", Cancel));
        Quarantine quarantine = Assert.Single(host.State("other").Quarantined.Values);
        Assert.Equal("v1.0.0", quarantine.Release.Version);

        await host.PublishAsync("v1.0.1", "ok", Cancel, "other");
        await host.DeployAsync("v1.0.1", Cancel, "other");
        await host.AssertAgreesAsync("other", ["v1.0.1"], "after a mended one", Cancel, 8081);
    }

    private static async Task AssertQuarantinedWithEvidenceAsync(AgentHost host, string version)
    {
        AppState state = host.State("shop");
        Deployment deployment = state.Deployments[^1];
        Assert.Equal((version, Outcome.RolledBack), (deployment.To.Version, deployment.Outcome));
        Assert.Equal(deployment.Id, state.Quarantined[deployment.To.Digest].Deployment);
        Evidence evidence = Assert.IsType<Evidence>(host.Evidence(deployment));
        Assert.Equal("shop.service", Assert.Single(evidence.Units).Name);
        Assert.Contains(evidence.Log, line => line.Message == $"shop {version} starts");
        Assert.NotEmpty(evidence.Checks);
        Assert.True(evidence is { DiskFree: > 0, MemoryAvailable: > 0 });
        CommandResult why = await host.AgentctlAsync(["why", deployment.Id], Cancel);
        Assert.Contains($"{version} is quarantined here", why.Output, StringComparison.Ordinal);
    }

    public sealed class OneHost : IAsyncLifetime
    {
        private AgentHost? host;

        public ValueTask InitializeAsync() => ValueTask.CompletedTask;

        internal async Task<AgentHost> GetAsync(CancellationToken cancellationToken)
        {
            if (host is not null) return host;
            host = await AgentUpAsync("bad", new Dictionary<string, string>
            {
                ["shop"] = AgentHost.AppFile(start: "8s", stable: "3s"),
                ["other"] = AgentHost.AppFile(port: 8081),
            });
            await host.PublishAsync(Good, "ok", cancellationToken);
            await host.DeployAsync(Good, cancellationToken);
            return host;
        }

        public async ValueTask DisposeAsync()
        {
            if (host is not null) await host.DisposeAsync();
        }
    }
}
