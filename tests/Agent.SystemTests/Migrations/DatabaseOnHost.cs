using Agent.TestHosts;

namespace Agent.SystemTests.Migrations;

/// <summary>A PostgreSQL server on a throwaway host, started by that host's systemd, with a database for shop.</summary>
internal static class DatabaseOnHost
{
    public const string Unit = "database.service";

    private const string Data = "/var/lib/postgresql/agent";

    /// <summary>Makes and starts it, and gives the app its address as a secret.</summary>
    public static async Task StartAsync(AgentHost host, CancellationToken cancellationToken)
    {
        Assert.SkipUnless(Directory.Exists("/usr/lib/postgresql"), "no PostgreSQL: apt-get install postgresql");
        await host.ShellAsync(
            $"""
            programs=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
            install -d -o postgres -g postgres -m 700 {Data}
            install -d -o postgres -g postgres /run/postgresql
            runuser -u postgres -- $programs/initdb --pgdata {Data} --auth-local=peer --auth-host=scram-sha-256 --encoding UTF8 --locale C.UTF-8 --no-sync >/dev/null
            echo 'host all all 10.77.0.0/16 scram-sha-256' >>{Data}/pg_hba.conf
            cat >/etc/systemd/system/{Unit} <<END
            [Service]
            User=postgres
            RuntimeDirectory=postgresql
            ExecStart=$programs/postgres -D {Data} -k /run/postgresql -c listen_addresses=* -c shared_buffers=32MB -c log_min_duration_statement=-1
            Restart=always
            RestartSec=200ms
            [Install]
            WantedBy=multi-user.target
            END
            systemctl daemon-reload
            systemctl enable --now --quiet {Unit}
            for i in $(seq 100); do runuser -u postgres -- psql -qc 'SELECT 1' >/dev/null 2>&1 && break; sleep 0.1; done
            runuser -u postgres -- psql -q -c "CREATE ROLE shop LOGIN CREATEDB PASSWORD 'swordfish'" -c 'CREATE DATABASE shop OWNER shop'
            """, cancellationToken);
        await GiveAddressAsync(host, "127.0.0.1", cancellationToken);
    }

    /// <summary>Gives the app the address of a server as a secret.</summary>
    public static Task GiveAddressAsync(AgentHost host, string server, CancellationToken cancellationToken) => host.ShellAsync(
        $"""
        install -d -m 700 /etc/agentd/secrets.d
        umask 077
        echo 'DATABASE_URL=postgres://shop:swordfish@{server}:5432/shop' >/etc/agentd/secrets.d/shop.env
        """, cancellationToken);

    /// <summary>Runs SQL as the superuser; the first column of each row, a line each.</summary>
    public static Task<string> QueryAsync(AgentHost host, string sql, CancellationToken cancellationToken, string database = "shop") =>
        host.ShellAsync($"runuser -u postgres -- psql --no-psqlrc -qAtX -d {database} <<'END'\n{sql}\nEND\n", cancellationToken);

    /// <summary>Names of the migrations that are done, in order.</summary>
    public static Task<string> LedgerAsync(AgentHost host, CancellationToken cancellationToken) =>
        QueryAsync(host, "SELECT string_agg(name, ' ' ORDER BY name) FROM agentd.migration WHERE finished IS NOT NULL", cancellationToken);

    /// <summary>Publishes the sample with migrations: all files that are given, by name.</summary>
    public static async Task PublishAsync(AgentHost host, string version, string behaviour, IReadOnlyDictionary<string, string> files, CancellationToken cancellationToken)
    {
        string source = $"/var/sources/shop-{version}";
        await host.ShellAsync($"mkdir -p {source}/migrations && cp /var/sources/tiny/* {source}/ && printf '\\nmigrations: migrations\\n' >>{source}/agent.yaml && echo {behaviour} >{source}/behaviour", cancellationToken);
        foreach ((string name, string text) in files) await host.Host.WriteAsync($"{source}/migrations/{name}", text, cancellationToken);
        (await host.AgentctlAsync(["publish", source, "--app", "shop", "--version", version], cancellationToken)).Succeeded();
    }
}
