using System.Text;
using System.Text.Json;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Packs;
using Agent.Artifacts.Stores;
using Agent.Artifacts.Trust;
using Agent.TestHosts;

namespace Agent.SystemTests.Artifacts;

/// <summary>
/// Stores that are gone, slow, cut, changed, expired, replayed or somebody else's, behind nginx. Nothing was ever deployed from them, so nothing may lie
/// below the app's directory; which check failed is told; nothing is quarantined; and from the store as it was, the same deployment works.
/// </summary>
public sealed class SickStoreTests(SickStoreTests.OneHost shared) : AgentTest, IClassFixture<SickStoreTests.OneHost>
{
    private const string Version = "v1.1.0";

    [Theory]
    [InlineData("metadata/timestamp.json", "timestamp.json is not signed by the keys that are trusted for it")]
    [InlineData("metadata/*.snapshot.json", "snapshot.json does not have the hash that its signed metadata gives")]
    [InlineData("metadata/*.targets.json", "targets.json does not have the hash that its signed metadata gives")]
    [InlineData("metadata/*.shop.json", "shop.json does not have the hash that its signed metadata gives")]
    [InlineData("targets/shop/releases/*v1.1.0.json", "v1.1.0.json does not have the hash that its signed metadata gives")]
    [InlineData("blobs/*", "is not what the signed manifest names")]
    public async Task Refuses_a_store_with_one_byte_changed_in(string files, string told)
    {
        AgentHost host = await shared.CleanAsync(Cancel);
        // The year of expiry where there is one, else what lies in the middle.
        const string Change = """
            import sys
            for path in sys.argv[1:]:
                b = bytearray(open(path, "rb").read())
                i = b.find(b"expires")
                i = b.find(b"2", i) if i >= 0 else len(b) // 2
                b[i] ^= 1
                open(path, "wb").write(b)
            """;
        string all = await host.ShellAsync($"find {AgentHost.Store} -type f -path '{AgentHost.Store}/{files}'", Cancel);
        Assert.NotEqual("", all);
        (await host.Host.RunAsync(["python3", "-c", Change, .. all.Split('\n')], Cancel)).Succeeded();
        await AssertRefusedAsync(host, 5, told);
    }

    [Fact]
    public async Task Refuses_what_was_signed_by_another_key()
    {
        AgentHost host = await shared.CleanAsync(Cancel);
        const string Other = "--store /var/store-other --key-file /root/other/keys.json";
        await host.ShellAsync(
            $"""
            mkdir -p /root/other && agentctl store init {Other}
            agentctl publish /var/sources/shop-{Version} --app shop --version {Version} {Other}
            rm -r {AgentHost.Store} && cp -a /var/store-other {AgentHost.Store}
            """, Cancel);
        await AssertRefusedAsync(host, 5, "is not signed by the keys that are trusted for it");
    }

    [Fact]
    public async Task Refuses_a_store_that_was_seen_newer()
    {
        AgentHost host = await shared.CleanAsync(Cancel);
        await SeeAsync(host);
        await host.ShellAsync($"cp {OneHost.Older}/metadata/timestamp.json {AgentHost.Store}/metadata/", Cancel);
        await AssertRefusedAsync(host, 5, "timestamp.json is a rollback: version");
    }

    [Fact]
    public async Task Refuses_an_older_snapshot_under_a_new_timestamp()
    {
        AgentHost host = await shared.CleanAsync(Cancel);
        await host.ShellAsync($"cd {AgentHost.Store}/metadata && cp $(ls -v {OneHost.Older}/metadata/*.snapshot.json | tail -n 1) $(ls -v *.snapshot.json | tail -n 1)", Cancel);
        await AssertRefusedAsync(host, 5, "snapshot.json");
    }

    [Fact]
    public async Task Refuses_metadata_that_has_expired()
    {
        AgentHost host = await shared.CleanAsync(Cancel);
        // Signed for two seconds and a half. A memory of its own, so that this one does not outlast the test.
        await host.ShellAsync(
            """
            python3 -c 'import json; k = json.load(open("/root/keys.json")); k["days"]["timestamp"] = 0.00003; json.dump(k, open("/root/brief.json", "w"))'
            chmod 600 /root/brief.json
            XDG_STATE_HOME=/run/brief agentctl store refresh --key-file /root/brief.json
            sleep 3
            """, Cancel);
        await AssertRefusedAsync(host, 5, "timestamp.json expired at");
    }

    [Fact]
    public async Task Says_that_a_store_is_gone()
    {
        AgentHost host = await shared.CleanAsync(Cancel);
        await host.ShellAsync("systemctl stop store", Cancel);
        await AssertRefusedAsync(host, 4, "http://127.0.0.1:8090/ cannot be reached: Connection refused");
    }

    [Theory]
    [InlineData("cut", "/metadata/timestamp.json", 4, "timestamp.json")]
    [InlineData("cut", "/blobs/*", 5, "blobs/")]
    [InlineData("trickle", "/metadata/timestamp.json", 4, "too slowly")]
    public async Task Gives_up_a_store_whose_files_are(string sickness, string pattern, int exit, string told)
    {
        AgentHost host = await shared.CleanAsync(Cancel);
        await host.Host.CopyInAsync(Path.Combine(AppContext.BaseDirectory, "sick_store.py"), "/root/sick_store.py", Cancel);
        await host.ShellAsync(
            $"""
            systemctl stop store
            systemd-run --quiet --unit=sick --collect /usr/bin/python3 /root/sick_store.py {AgentHost.Store} 8090 {sickness} '{pattern}'
            until curl --silent --output /dev/null http://127.0.0.1:8090/nothing; do sleep 0.1; done
            """, Cancel);
        await AssertRefusedAsync(host, exit, told);
    }

    [Theory]
    [InlineData("v6.6.1", "\"file\":\"shop\"", "\"file\":\"../shop\"")]
    [InlineData("v6.6.2", "\"file\":\"shop\"", "\"file\":\"/srv/shop\"")]
    [InlineData("v6.6.3", "],\"format\"", ",{\"link\":\"up\",\"target\":\"../..\"}],\"format\"")]
    [InlineData("v6.6.4", "],\"format\"", ",{\"directory\":\"shop\"}],\"format\"")]
    [InlineData("v6.6.5", "\"executable\":true", "\"executable\":true,\"mode\":\"4755\"")]
    public async Task Refuses_a_signed_manifest_that_is_not_safe(string version, string safe, string unsafeText)
    {
        AgentHost host = await shared.CleanAsync(Cancel);
        DirectoryInfo scratch = Directory.CreateTempSubdirectory("agentd-");
        try
        {
            string keyFile = Path.Combine(scratch.FullName, "keys.json");
            await host.Host.CopyOutAsync(AgentHost.KeyFile, keyFile, Cancel);
            File.SetUnixFileMode(keyFile, UnixFileMode.UserRead);
            string stored = Directory.GetFiles(host.Host.Root + AgentHost.Store + "/targets/shop/releases", $"*.{Version}.json").Single();
            string json = Encoding.UTF8.GetString(Brotli.TryDecompress(File.ReadAllBytes(stored), 1 << 20, out _)!);
            Assert.Contains(safe, json, StringComparison.Ordinal);
            using var compressed = new MemoryStream();
            Brotli.Compress(new MemoryStream(Encoding.UTF8.GetBytes(json.Replace(safe, unsafeText, StringComparison.Ordinal).Replace(Version, version, StringComparison.Ordinal))), compressed, 6, Cancel);

            var app = new AppName("shop");
            using var repository = new TrustRepository(
                Stores.OpenWriter(host.Host.Root + AgentHost.Store), KeyFile.Read(keyFile), new Disk(), Path.Combine(scratch.FullName, "seen"), TimeProvider.System);
            TargetInfo target = await repository.PutTargetAsync(StorePath.ReleaseTarget(app, new ReleaseVersion(version)), compressed.ToArray(), null, Cancel);
            await repository.PublishAsync(TrustRepository.ReleaseRole(app), (_, _) => Task.FromResult<IReadOnlyList<TargetInfo>>([target]), Cancel);
        }
        finally
        {
            scratch.Delete(recursive: true);
        }
        // The store as it was is older than what the agent has seen by now: the release that was there before comes from this one.
        await AssertRefusedAsync(host, version, 5, "the manifest ");
        await host.DeployAsync(Version, Cancel);
        await host.AssertAgreesAsync("shop", [Version], "the one that was there before", Cancel);
    }

    /// <summary>Refused, nothing written, and all well when the store is.</summary>
    private static async Task AssertRefusedAsync(AgentHost host, int exit, string told)
    {
        await AssertRefusedAsync(host, Version, exit, told);
        await OneHost.MendAsync(host, Cancel);
        await host.DeployAsync(Version, Cancel);
        await host.AssertAgreesAsync("shop", [Version], "from the mended store", Cancel);
    }

    private static async Task AssertRefusedAsync(AgentHost host, string version, int exit, string told)
    {
        CommandResult deploy = await host.AgentctlAsync(["deploy", version], Cancel);
        Assert.Equal((exit, ""), (deploy.Exit, deploy.Errors.Contains(told, StringComparison.Ordinal) ? "" : deploy.Errors));
        Assert.Equal("", await host.ShellAsync("find /srv -mindepth 1; ls -d /etc/systemd/system/shop* 2>/dev/null || true", Cancel));
        JsonElement status = await host.StatusAsync("shop", Cancel);
        Assert.Equal((0, null), (status.GetProperty("quarantined").GetArrayLength(), status.GetProperty("version").GetString()));
    }

    /// <summary>Makes the agent read the store's metadata, and nothing more.</summary>
    private static async Task SeeAsync(AgentHost host) => Assert.Equal(2, (await host.AgentctlAsync(["deploy", "v9.9.9"], Cancel)).Exit);

    public sealed class OneHost : IAsyncLifetime
    {
        public const string Older = "/var/store-older";

        private const string Good = "/var/store-good";

        private const string Nginx = """
            pid /run/store.pid;
            error_log stderr;
            events {}
            http {
                access_log off;
                server {
                    listen 127.0.0.1:8090;
                    root /var/store;
                }
            }
            """;

        private AgentHost? host;

        public ValueTask InitializeAsync() => ValueTask.CompletedTask;

        /// <summary>The host with nothing deployed, nothing remembered, and the store as it was published.</summary>
        internal async Task<AgentHost> CleanAsync(CancellationToken cancellationToken)
        {
            host ??= await BootAsync(cancellationToken);
            await host.ShellAsync(
                """
                systemctl stop agentd
                systemctl disable --now shop 2>/dev/null || true
                rm -rf /srv/* /var/lib/agentd/* /etc/systemd/system/shop*
                systemctl daemon-reload
                systemctl start agentd
                """, cancellationToken);
            await MendAsync(host, cancellationToken);
            return host;
        }

        internal static Task MendAsync(AgentHost host, CancellationToken cancellationToken) => host.ShellAsync(
            $"""
            systemctl stop sick 2>/dev/null || true
            rm -r {AgentHost.Store} && cp -a {Good} {AgentHost.Store}
            systemctl is-active --quiet store || systemd-run --quiet --unit=store --collect nginx -c /root/nginx.conf -g 'daemon off;'
            until curl --silent --output /dev/null http://127.0.0.1:8090/; do sleep 0.1; done
            """, cancellationToken);

        private static async Task<AgentHost> BootAsync(CancellationToken cancellationToken)
        {
            SkipWhereNoHostsRun();
            Assert.SkipUnless(File.Exists("/usr/sbin/nginx"), "no nginx: apt-get install nginx");
            AgentHost host = await AgentHost.UpAsync(
                "store", "store: http://127.0.0.1:8090/\n", new Dictionary<string, string> { ["shop"] = AgentHost.AppFile() }, cancellationToken);
            await host.Host.WriteAsync("/root/nginx.conf", Nginx, cancellationToken);
            await host.PublishAsync("v1.0.0", "ok", cancellationToken);
            await host.ShellAsync($"cp -a {AgentHost.Store} {Older}", cancellationToken);
            await host.PublishAsync(Version, "ok", cancellationToken);
            await host.ShellAsync($"cp -a {AgentHost.Store} {Good}", cancellationToken);
            return host;
        }

        public async ValueTask DisposeAsync()
        {
            if (host is not null) await host.DisposeAsync();
        }
    }
}
