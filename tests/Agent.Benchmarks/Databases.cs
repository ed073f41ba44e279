using System.Globalization;

namespace Agent.Benchmarks;

/// <summary>What migrations cost an app and its deployments, on a host with a PostgreSQL server of its own.</summary>
/// <param name="runs">Samples of each figure.</param>
internal sealed class Databases(AgentOnHost agent, int runs)
{
    private const string App = "database: DATABASE_URL\ngate:\n  stable: 500ms\n";

    private const string Url = "postgres://shop:shop@127.0.0.1:5432/shop";

    /// <summary>Makes a server and a database; its data lies where the app's releases do.</summary>
    public const string Server = """
        programs=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
        if [ ! -d /srv/postgresql ]; then
            install -d -o postgres -g postgres -m 700 /srv/postgresql
            runuser -u postgres -- $programs/initdb --pgdata /srv/postgresql --auth-local=trust --auth-host=scram-sha-256 --encoding UTF8 --locale C.UTF-8 >/dev/null
            echo 'host all all 10.77.0.0/16 scram-sha-256' >>/srv/postgresql/pg_hba.conf
            systemd-run --quiet --unit=database --uid=postgres -p RuntimeDirectory=postgresql $programs/postgres -D /srv/postgresql -k /run/postgresql -c 'listen_addresses=*'
            for i in $(seq 100); do psql -qU postgres -h /run/postgresql -c 'SELECT 1' >/dev/null 2>&1 && break; sleep 0.1; done
            psql -qU postgres -h /run/postgresql -c "CREATE ROLE shop LOGIN PASSWORD 'shop'" -c 'CREATE DATABASE shop OWNER shop'
        fi
        """;

    /// <summary>What does the look at the database add where nothing is pending?</summary>
    public async Task<IReadOnlyList<Figure>> NothingPendingAsync(CancellationToken cancellationToken)
    {
        await StartAsync(cancellationToken);
        await PublishAsync("v3.0.0", new() { ["0001_one.sql"] = "-- agentd: phase=expand\nCREATE TABLE one (a int);\n" }, cancellationToken);
        await PublishAsync("v3.0.1", new() { ["0001_one.sql"] = "-- agentd: phase=expand\nCREATE TABLE one (a int);\n" }, cancellationToken);
        await agent.RunAsync(cancellationToken, "agentctl", "deploy", "v3.0.0");
        var took = new List<double>();
        for (int run = 0; run < runs; run++)
        {
            await agent.RunAsync(cancellationToken, "agentctl", "deploy", run % 2 == 0 ? "v3.0.1" : "v3.0.0");
            took.AddRange(await agent.MeasureAsync(cancellationToken, "step", "Backup"));
        }
        return [new Figure("the look at the database where nothing is pending", "ms", 30, took)];
    }

    /// <summary>How long does an app wait for a table that a migration wants, while somebody else holds it?</summary>
    public async Task<IReadOnlyList<Figure>> StallAsync(CancellationToken cancellationToken)
    {
        await StartAsync(cancellationToken);
        await SqlAsync("DROP TABLE IF EXISTS busy; CREATE TABLE busy (id int PRIMARY KEY, note text); INSERT INTO busy SELECT n, 'x' FROM generate_series(1, 1000) n", cancellationToken);
        var ours = new List<double>();
        var psql = new List<double>();
        for (int run = 0; run < runs; run++)
        {
            string number = run.ToString(CultureInfo.InvariantCulture), change = $"ALTER TABLE busy ADD COLUMN extra{number} int;\n";
            await PublishAsync($"v4.{number}.0", Files(run), cancellationToken);
            ours.AddRange(await agent.MeasureAsync(cancellationToken, "stall", "agentctl", "deploy", $"v4.{number}.0"));
            await SqlAsync($"ALTER TABLE busy DROP COLUMN extra{number}", cancellationToken);
            await agent.WriteAsync("/root/change.sql", change, cancellationToken);
            psql.AddRange(await agent.MeasureAsync(cancellationToken, "stall", "psql", "-qf", "/root/change.sql", Url));
        }
        return
        [
            new Figure("longest query of the app while a migration waits 10 s for its table", "ms", 2500, ours),
            new Figure("the same with psql -f", "ms", null, psql),
        ];

        static Dictionary<string, string> Files(int last) => Enumerable.Range(0, last + 1)
            .ToDictionary(n => string.Create(CultureInfo.InvariantCulture, $"{n + 10:0000}_extra.sql"), n => string.Create(CultureInfo.InvariantCulture, $"-- agentd: phase=expand\nALTER TABLE busy ADD COLUMN extra{n} int;\n"));
    }

    private async Task StartAsync(CancellationToken cancellationToken, string server = "127.0.0.1")
    {
        if (server == "127.0.0.1") await agent.ShellAsync(Server, cancellationToken);
        string url = Url.Replace("127.0.0.1", server, StringComparison.Ordinal);
        await agent.ShellAsync($"install -d -m 700 /etc/agentd/secrets.d; (umask 077; echo DATABASE_URL={url} >/etc/agentd/secrets.d/shop.env)", cancellationToken);
        await agent.WriteAsync("/etc/agentd/apps.d/shop.yaml", App, cancellationToken);
        await agent.ReloadAsync(cancellationToken);
    }

    /// <summary>How long do eight hosts of one app take for a release with a migration of a second, that one of them runs while the others wait?</summary>
    public static async Task<IReadOnlyList<Figure>> EightHostsAsync(int runs, Func<string, string, Task<AgentOnHost>> up, CancellationToken cancellationToken)
    {
        const int Hosts = 8;
        var hosts = new List<AgentOnHost>();
        try
        {
            for (int number = 1; number <= Hosts; number++) hosts.Add(await up(string.Create(CultureInfo.InvariantCulture, $"web-{number}"), "eight"));
            var databases = hosts.ConvertAll(host => new Databases(host, 1));
            foreach (Databases one in databases) await one.StartAsync(cancellationToken, one == databases[0] ? "127.0.0.1" : "web-1");
            var files = new Dictionary<string, string> { ["0001_one.sql"] = "-- agentd: phase=expand\nCREATE TABLE one (a int);\n" };
            List<double> all = [], alone = [];
            for (int run = 0; run <= runs; run++)
            {
                string version = string.Create(CultureInfo.InvariantCulture, $"v5.{run}.0"), same = string.Create(CultureInfo.InvariantCulture, $"v5.{run}.1");
                if (run > 0) files[string.Create(CultureInfo.InvariantCulture, $"{run + 1:0000}_second.sql")] = "-- agentd: phase=expand\nSELECT pg_sleep(1);\n";
                await Task.WhenAll(databases.Select(async one =>
                {
                    await one.PublishAsync(version, files, cancellationToken);
                    await one.PublishAsync(same, files, cancellationToken);
                }));
                long start = TimeProvider.System.GetTimestamp();
                await Task.WhenAll(hosts.Select(host => host.RunAsync(cancellationToken, "agentctl", "deploy", version, "--app", "shop")));
                if (run == 0) continue;   // the first of all, which nothing is compared to
                all.Add(TimeProvider.System.GetElapsedTime(start).TotalMilliseconds);
                alone.AddRange(await hosts[^1].WallAsync(1, cancellationToken, "agentctl", "deploy", same, "--app", "shop"));
            }
            return
            [
                new Figure("8 hosts, one migration of 1 s: first start to last live", "ms", null, all),
                new Figure("one host's own deployment", "ms", null, alone),
                new Figure("the 8, less the migration and one's own", "ms", 3000, [.. all.Zip(alone, (together, own) => together - 1000 - own)]),
            ];
        }
        finally
        {
            foreach (AgentOnHost host in hosts) await host.DisposeAsync();
        }
    }

    private Task SqlAsync(string sql, CancellationToken cancellationToken) => agent.RunAsync(cancellationToken, "psql", "-q", "-c", sql, Url);

    private async Task PublishAsync(string version, Dictionary<string, string> files, CancellationToken cancellationToken)
    {
        string tree = $"/var/lib/trees/{version}";
        await agent.RunAsync(cancellationToken, "sh", "-c", $"rm -rf {tree}; mkdir -p /var/lib/trees; cp -r /root/shop {tree}; printf '\\nmigrations: migrations\\n' >>{tree}/agent.yaml");
        foreach ((string name, string text) in files) await agent.WriteAsync($"{tree}/migrations/{name}", text, cancellationToken);
        await agent.ShellAsync($"agentctl publish {tree} --version {version}", cancellationToken);
    }
}
