using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Npgsql;

[assembly: AssemblyFixture(typeof(Agent.Tests.Fakes.PostgresServer))]

namespace Agent.Tests.Fakes;

/// <summary>
/// A PostgreSQL server of the tests' own, on loopback and a Unix socket: made when the first test asks for it, and gone with the test
/// process, also where that is killed. Its superuser is <c>postgres</c> with the password <c>postgres</c>; it does not sync.
/// </summary>
public sealed class PostgresServer : IDisposable
{
    private static int servers;
    private readonly Lock gate = new();
    private readonly ManualResetEventSlim end = new();
    private Thread? thread;
    private Process? process;
    private Exception? failure;
    private int databases;

    /// <summary>Where its programs lie: <c>/usr/lib/postgresql/15/bin</c>.</summary>
    public static string Programs { get; } =
        Directory.Exists("/usr/lib/postgresql") ? Directory.GetDirectories("/usr/lib/postgresql").OrderBy(path => int.TryParse(Path.GetFileName(path), out int version) ? version : 0).LastOrDefault() + "/bin" : "";

    public int Port { get; private set; }

    /// <summary>Of the Unix socket, and of all it has.</summary>
    public string DataDirectory { get; } = Path.Combine(Path.GetTempPath(), $"agentd-postgres-{Environment.ProcessId}-{Interlocked.Increment(ref servers)}");

    /// <summary>Its process, for tests that end it; null before the first start.</summary>
    public Process? Process => process;

    /// <summary>A new database with an owner of its own, who may do nothing else.</summary>
    /// <returns>Name of the database, which is the owner's and the owner's password too.</returns>
    public async Task<string> NewDatabaseAsync()
    {
        Start();
        string name = $"shop_{Interlocked.Increment(ref databases)}";
        await ExecuteAsync("postgres", $"CREATE ROLE {name} LOGIN PASSWORD '{name}'", $"CREATE DATABASE {name} OWNER {name}");
        return name;
    }

    /// <summary>postgres://NAME:NAME@127.0.0.1:PORT/NAME, as an app's secret holds it.</summary>
    public string UrlOf(string name) => $"postgres://{name}:{name}@127.0.0.1:{Port}/{name}";

    /// <summary>Of the superuser, for Npgsql.</summary>
    public string Superuser(string database = "postgres") =>
        new NpgsqlConnectionStringBuilder { Host = "127.0.0.1", Port = Port, Username = "postgres", Password = "postgres", Database = database, Pooling = false, CommandTimeout = 300 }.ConnectionString;

    /// <summary>Runs statements as the superuser, each by itself.</summary>
    public async Task ExecuteAsync(string database, params IEnumerable<string> statements)
    {
        await using var connection = new NpgsqlConnection(Superuser(database));
        await connection.OpenAsync();
        foreach (string statement in statements)
        {
            await using var command = new NpgsqlCommand(statement, connection);
            await command.ExecuteNonQueryAsync();
        }
    }

    /// <summary>The first column of a query as the superuser.</summary>
    public async Task<IReadOnlyList<string>> QueryAsync(string database, string sql)
    {
        await using var connection = new NpgsqlConnection(Superuser(database));
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        await using NpgsqlDataReader reader = await command.ExecuteReaderAsync();
        var values = new List<string>();
        while (await reader.ReadAsync()) values.Add(reader.IsDBNull(0) ? "" : Convert.ToString(reader.GetValue(0), System.Globalization.CultureInfo.InvariantCulture)!);
        return values;
    }

    /// <summary>Starts it where it does not run.</summary>
    public void Start()
    {
        lock (gate)
        {
            if (failure is not null) throw new InvalidOperationException("PostgreSQL did not start", failure);
            if (process is { HasExited: false }) return;
            try
            {
                if (Port == 0) Make();
                Run();
            }
            catch (Exception e)
            {
                failure = e;
                throw;
            }
        }
    }

    public void Dispose()
    {
        if (process is { HasExited: false })
        {
            process.Kill();   // the postmaster's children end with it
            process.WaitForExit();
        }
        end.Set();
        thread?.Join();
        process?.Dispose();
        end.Dispose();
        if (Directory.Exists(DataDirectory)) Directory.Delete(DataDirectory, recursive: true);
    }

    private void Make()
    {
        using var free = new TcpListener(IPAddress.Loopback, 0);
        free.Start();
        Port = ((IPEndPoint)free.LocalEndpoint).Port;
        free.Stop();
        Directory.CreateDirectory(DataDirectory);
        if (Environment.IsPrivilegedProcess) RunTool("chown", "postgres:postgres", DataDirectory);
        string password = Path.Combine(DataDirectory, "password");
        File.WriteAllText(password, "postgres");
        if (Environment.IsPrivilegedProcess) RunTool("chown", "postgres:postgres", password);
        string[] initdb = [$"{Programs}/initdb", "-D", $"{DataDirectory}/data", "-U", "postgres", $"--pwfile={password}", "--auth=scram-sha-256", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"];
        string[] all = [.. AsPostgres(), .. initdb];
        RunTool(all[0], all[1..]);
    }

    // PostgreSQL refuses to run as root. The signal comes with the death of the thread that started it, so that thread stays.
    private void Run()
    {
        string[] server =
        [
            .. AsPostgres(), $"{Programs}/postgres", "-D", $"{DataDirectory}/data", "-p", $"{Port}", "-k", DataDirectory, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off",
            "-c", "max_connections=200", "-c", "shared_buffers=32MB", "-c", "log_min_messages=fatal",
            "-c", "dynamic_shared_memory_type=mmap",   // among its own files, so that nothing stays behind where it is killed
        ];
        using var started = new ManualResetEventSlim();
        Exception? problem = null;
        thread = new Thread(() =>
        {
            try
            {
                process = Process.Start(new ProcessStartInfo(server[0], server[1..]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
                process.OutputDataReceived += (_, _) => { };
                process.ErrorDataReceived += (_, _) => { };
                process.BeginOutputReadLine();
                process.BeginErrorReadLine();
            }
            catch (Exception e)
            {
                problem = e;
            }
            started.Set();
            end.Wait();
        })
        { IsBackground = true };
        thread.Start();
        started.Wait();
        if (problem is not null) throw problem;
        for (int tries = 0; ; tries++)
        {
            try
            {
                using var connection = new NpgsqlConnection(Superuser());
                connection.Open();
                return;
            }
            catch (Exception e) when (e is NpgsqlException && tries < 300 && !process!.HasExited)
            {
                Thread.Sleep(50);
            }
        }
    }

    private static string[] AsPostgres() => Environment.IsPrivilegedProcess
        ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--pdeathsig=KILL"]
        : ["setpriv", "--pdeathsig=KILL"];

    private static void RunTool(string program, params string[] arguments)
    {
        using var tool = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> errors = tool.StandardError.ReadToEndAsync();
        tool.StandardOutput.ReadToEnd();
        tool.WaitForExit();
        if (tool.ExitCode != 0) throw new InvalidOperationException($"{program} ended with {tool.ExitCode}: {errors.Result}");
    }
}
