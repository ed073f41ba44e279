using System.Diagnostics;
using System.Globalization;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Migrations;
using Agent.Daemon.Migrations.RestorePoints;
using Npgsql;

namespace Agent.Benchmarks;

/// <summary>A restore point of a database against a bare <c>pg_dump -Fc</c> of the same, in turns: the wall time, with all synced, and the size.</summary>
/// <param name="directory">On the disk that the server's data and the dumps lie on; removed afterwards.</param>
/// <param name="percent">Of 2 GB.</param>
internal sealed class RestorePointFigure(string directory, int samples, int percent)
{
    private const int Port = 54_329;
    private const long Bytes = 2_000_000_000;

    private static readonly string s_programs =
        Directory.GetDirectories("/usr/lib/postgresql").OrderBy(path => int.Parse(Path.GetFileName(path), CultureInfo.InvariantCulture)).Last() + "/bin";

    // Without a password: only root and the user postgres get at the socket.
    private readonly DatabaseAddress address = new($"Host={directory}/socket;Port={Port};Username=postgres;Database=shop;Pooling=false");

    public async Task<IReadOnlyList<Figure>> AnswerAsync(CancellationToken cancellationToken)
    {
        Directory.CreateDirectory($"{directory}/socket");
        Directory.CreateDirectory($"{directory}/data");
        await RunAsync(cancellationToken, "chown", "postgres:postgres", directory, $"{directory}/data", $"{directory}/socket");
        File.SetUnixFileMode($"{directory}/socket", DurableOperations.Mode700);
        await RunAsync(cancellationToken, [.. s_asPostgres, $"{s_programs}/initdb", "-D", $"{directory}/data", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8"]);
        string control = $"{s_programs}/pg_ctl";
        await RunAsync(cancellationToken, [.. s_asPostgres, control, "-D", $"{directory}/data", "-w", "-l", $"{directory}/data/log",
            "-o", $"-p {Port} -k {directory}/socket -c listen_addresses= -c shared_buffers=512MB -c max_wal_size=4GB", "start"]);
        try
        {
            long size = await FillAsync(cancellationToken);
            return await MeasureAsync(size, cancellationToken);
        }
        finally
        {
            await RunAsync(CancellationToken.None, [.. s_asPostgres, control, "-D", $"{directory}/data", "-m", "immediate", "stop"]);
            Directory.Delete(directory, recursive: true);
        }
    }

    private static readonly string[] s_asPostgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"];

    // Orders as a shop has them: numbers, times, words that repeat, tokens that do not; an index on the key and one on the customer.
    private async Task<long> FillAsync(CancellationToken cancellationToken)
    {
        await using (var connection = new NpgsqlConnection(address.WithDatabase("postgres").ConnectionString))
        {
            await connection.OpenAsync(cancellationToken);
            await ExecuteAsync(connection, "CREATE DATABASE shop", cancellationToken);
        }
        await using var shop = new NpgsqlConnection(address.ConnectionString);
        await shop.OpenAsync(cancellationToken);
        await ExecuteAsync(shop, "CREATE TABLE orders (id bigint, customer int, at timestamptz, amount numeric, state text, note text, token text)", cancellationToken);
        await ExecuteAsync(shop,
            $"""
            INSERT INTO orders SELECT i, (random() * 100000)::int, now() - i * interval '7 s', round((random() * 500)::numeric, 2), (ARRAY['new', 'paid', 'shipped', 'returned'])[1 + i % 4],
              'Order of ' || (ARRAY['shoes', 'a lamp', 'three books', 'coffee', 'a bicycle'])[1 + i % 5] || ', to be delivered to house ' || (random() * 300)::int, md5(random()::text)
            FROM generate_series(1, {Bytes * percent / 100 / 205}) i
            """, cancellationToken);
        await ExecuteAsync(shop, "ALTER TABLE orders ADD PRIMARY KEY (id)", cancellationToken);
        await ExecuteAsync(shop, "CREATE INDEX ON orders (customer)", cancellationToken);
        await ExecuteAsync(shop, "VACUUM (ANALYZE) orders", cancellationToken);
        await ExecuteAsync(shop, "CHECKPOINT", cancellationToken);
        await using var size = new NpgsqlCommand("SELECT pg_database_size('shop')", shop);
        return (long)(await size.ExecuteScalarAsync(cancellationToken))!;
    }

    private async Task<IReadOnlyList<Figure>> MeasureAsync(long size, CancellationToken cancellationToken)
    {
        var store = RestorePointStore.In($"{directory}/points", new Disk(), TimeProvider.System);
        List<double> bare = [], ours = [], bareSize = [], oursSize = [];
        string dump = $"{directory}/bare.dump";
        for (int sample = 0; sample < samples; sample++)
        {
            long began = Stopwatch.GetTimestamp();
            await RunAsync(cancellationToken, $"{s_programs}/pg_dump", "-Fc", "-h", $"{directory}/socket", "-p", $"{Port}", "-U", "postgres", "-f", dump, "shop");
            await RunAsync(cancellationToken, "sync", dump);
            bare.Add(Stopwatch.GetElapsedTime(began).TotalSeconds);
            bareSize.Add(new FileInfo(dump).Length / 1e6);
            File.Delete(dump);
            began = Stopwatch.GetTimestamp();
            RestorePoint point = await Dump.TakeAsync(
                new RestorePoint("point", "shop", DateTimeOffset.UnixEpoch, "shop", "host", "root"), store, address, "benchmark", "/", new InWords(new Progress<string>()), cancellationToken);
            ours.Add(Stopwatch.GetElapsedTime(began).TotalSeconds);
            oursSize.Add(point.Size / 1e6);
            File.Delete(store.DumpPath(point));
        }
        return
        [
            new Figure($"restore point of a database of {size / 1e9:0.00} GB, over pg_dump -Fc", "times", 1.1, [.. ours.Zip(bare, (mine, its) => mine / its)]),
            new Figure("  its size, over that of pg_dump -Fc", "times", 1, [.. oursSize.Zip(bareSize, (mine, its) => mine / its)]),
            new Figure("  restore point", "s", null, ours),
            new Figure("  pg_dump -Fc", "s", null, bare),
            new Figure("  restore point", "MB", null, oursSize),
            new Figure("  pg_dump -Fc", "MB", null, bareSize),
        ];
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private static async Task RunAsync(CancellationToken cancellationToken, params string[] words)
    {
        // Its output to nowhere: pg_ctl's server would keep a pipe open.
        using Process process = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", "exec \"$@\" >/dev/null", "sh", .. words]) { WorkingDirectory = "/" })!;
        await process.WaitForExitAsync(cancellationToken);
        if (process.ExitCode != 0) throw new OperatorException(ExitCode.Refused, $"{string.Join(' ', words)} ended with {process.ExitCode}", "see what it printed");
    }
}
