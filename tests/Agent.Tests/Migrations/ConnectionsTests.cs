using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Migrations;
using Agent.Tests.Fakes;
using Agent.Tests.Protos;
using Npgsql;

namespace Agent.Tests.Migrations;

public sealed class ConnectionsTests(PostgresServer server) : IDisposable
{
    private readonly TemporaryDirectory directory = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => directory.Dispose();

    [Fact]
    public async Task Comes_in_by_SCRAM_and_says_who_it_is()
    {
        string name = await server.NewDatabaseAsync();
        await using NpgsqlConnection connection = await Connections.OpenAsync(Of(server.UrlOf(name)), "agentd web-1 shop-7", Cancellation);
        Assert.Equal(["agentd web-1 shop-7"], await server.QueryAsync(name, $"SELECT application_name FROM pg_stat_activity WHERE datname = '{name}' AND usename = '{name}'"));
        await using var command = new NpgsqlCommand("SELECT current_database()::text, ARRAY['a','b']::text[], now(), 1::bigint, 'x'::name, 't'::\"char\"::text", connection);
        await using NpgsqlDataReader reader = await command.ExecuteReaderAsync(Cancellation);
        Assert.True(await reader.ReadAsync(Cancellation));
        Assert.Equal((name, 2, 1L, "x"), (reader.GetString(0), reader.GetFieldValue<string[]>(1).Length, reader.GetInt64(3), reader.GetString(4)));
    }

    [Fact]
    public async Task Closes_what_it_opened()
    {
        string name = await server.NewDatabaseAsync();
        await using (await Connections.OpenAsync(Of(server.UrlOf(name)), "agentd", Cancellation))
            Assert.Equal(["1"], await server.QueryAsync("postgres", $"SELECT count(*) FROM pg_stat_activity WHERE usename = '{name}'"));
        await Eventually.HoldsAsync(async () => await server.QueryAsync("postgres", $"SELECT count(*) FROM pg_stat_activity WHERE usename = '{name}'") is ["0"]);
    }

    [Fact]
    public async Task Comes_in_through_a_Unix_socket()
    {
        string name = await server.NewDatabaseAsync();
        DatabaseAddress address = Of($"postgres://{name}:{name}@/{name}?host={server.DataDirectory}&port={server.Port}&sslmode=require");
        await using NpgsqlConnection connection = await Connections.OpenAsync(address, "agentd", Cancellation);
        Assert.Equal([""], await server.QueryAsync(name, $"SELECT host(client_addr) FROM pg_stat_activity WHERE usename = '{name}'"));
        Assert.Equal(name, Psql(address, "SELECT current_user"));
    }

    [Fact]
    public async Task Tools_reach_the_same()
    {
        string name = await server.NewDatabaseAsync();
        Assert.Equal($"{name} 5s", Psql(Of(server.UrlOf(name) + "?options=-c%20statement_timeout%3D5s"), "SELECT current_user || ' ' || current_setting('statement_timeout')"));
        DatabaseAddress several = Of($"postgres://{name}:{name}@127.0.0.1:1,127.0.0.1:{server.Port}/{name}");
        Assert.Equal(name, Psql(several, "SELECT current_user"));
        await using NpgsqlConnection connection = await Connections.OpenAsync(several, "agentd", Cancellation);
        Assert.Equal(server.Port, connection.Port);
    }

    [Theory]
    [InlineData("postgres://NAME:wrong@127.0.0.1:PORT/NAME", 5, "the password of NAME is wrong")]
    [InlineData("postgres://NAME@127.0.0.1:PORT/NAME", 5, "the server wants a password, and there is none")]
    [InlineData("postgres://nobody:NAME@127.0.0.1:PORT/NAME", 5, "the password of nobody is wrong, or there is no such role")]
    [InlineData("postgres://NAME:NAME@127.0.0.1:PORT/nowhere", 5, "there is no database nowhere")]
    [InlineData("postgres://NAME:NAME@127.0.0.1:PORT/NAME?sslmode=require", 5, "the server offers no TLS")]
    [InlineData("postgres://NAME:NAME@127.0.0.1:PORT/NAME?channel_binding=require", 5, "the server offers no channel binding")]
    [InlineData("postgres://NAME:NAME@127.0.0.1:PORT/NAME?require_auth=md5", 5, "the server asks for another way")]
    [InlineData("postgres://NAME:NAME@127.0.0.1:1/NAME", 4, "nothing listens there")]
    [InlineData("postgres://NAME:NAME@127.0.0.1:1,127.0.0.1:2/NAME", 4, "nothing listens there")]
    [InlineData("postgres://NAME:NAME@/NAME?host=/nowhere", 4, "there is no such Unix socket")]
    [InlineData("postgres://NAME:NAME@nowhere.invalid/NAME", 4, "the host's name is not known")]
    public async Task Says_why_it_cannot_come_in(string url, int code, string why)
    {
        string name = await server.NewDatabaseAsync();
        OperatorException told = await ToldAsync(Of(url.Replace("NAME", name, StringComparison.Ordinal).Replace("PORT", $"{server.Port}", StringComparison.Ordinal)));
        Assert.Contains(why.Replace("NAME", name, StringComparison.Ordinal), told.Message, StringComparison.Ordinal);
        Assert.Equal((ExitCode)code, told.Code);
        Assert.StartsWith("postgres://", told.Message, StringComparison.Ordinal);
        Assert.NotEmpty(told.Remedy);
    }

    [Fact]
    public async Task Says_when_rights_or_connections_are_missing()
    {
        string name = await server.NewDatabaseAsync(), other = await server.NewDatabaseAsync();
        await server.ExecuteAsync("postgres", $"REVOKE CONNECT ON DATABASE {other} FROM PUBLIC", $"ALTER ROLE {name} CONNECTION LIMIT 0");
        OperatorException full = await ToldAsync(Of(server.UrlOf(name)));
        Assert.Equal(ExitCode.Unreachable, full.Code);
        Assert.Contains("the server has no connection left", full.Message, StringComparison.Ordinal);
        await server.ExecuteAsync("postgres", $"ALTER ROLE {name} CONNECTION LIMIT -1");
        OperatorException revoked = await ToldAsync(Of(server.UrlOf(name)).WithDatabase(other));
        Assert.Equal(ExitCode.Refused, revoked.Code);
        Assert.Contains($"{name} may not connect to {other}", revoked.Message, StringComparison.Ordinal);
        await server.ExecuteAsync("postgres", $"ALTER ROLE {name} NOLOGIN");
        Assert.Contains("is not permitted to log in", (await ToldAsync(Of(server.UrlOf(name)))).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("HTTP/1.1 400 Bad Request\r\n\r\n")]
    public async Task What_is_no_server_is_unreachable(string answer)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        Task answering = Task.Run(async () =>
        {
            for (int i = 0; i < 2; i++)
            {
                using TcpClient client = await listener.AcceptTcpClientAsync(Cancellation);
                await client.GetStream().WriteAsync(System.Text.Encoding.ASCII.GetBytes(answer), Cancellation);
            }
        }, Cancellation);
        OperatorException told = await ToldAsync(Of($"postgres://shop:sesame@127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}/shop?sslmode=disable"));
        Assert.Equal(ExitCode.Unreachable, told.Code);
        Assert.DoesNotContain("sesame", told.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_never_answers_is_given_up()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        string url = $"postgres://shop:x@127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}/shop?connect_timeout=1";
        Assert.Contains("does not answer in time", (await ToldAsync(Of(url))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Cancelling_is_never_lost_whenever_it_comes()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        DatabaseAddress address = Of($"postgres://shop:x@127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}/shop?connect_timeout=600");
        for (int round = 0; round < 300; round++)
        {
            using var stop = new CancellationTokenSource();
            Task<NpgsqlConnection> opening = Connections.OpenAsync(address, "agentd", stop.Token);
            Thread.SpinWait(round * 300);
            await stop.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => opening.WaitAsync(TimeSpan.FromMinutes(1), Cancellation));   // a lost one fails here
            while (listener.Pending()) (await listener.AcceptTcpClientAsync(Cancellation)).Dispose();
        }
    }

    [Fact]
    public async Task TLS_is_verified_as_far_as_it_was_asked_for()
    {
        using var secure = new PostgresServer();
        string name = await secure.NewDatabaseAsync();
        Authority("ca");
        Certificate("server", "localhost", "ca");
        Authority("other");
        string authority = Path.Combine(directory.Path, "ca.crt"), stranger = Path.Combine(directory.Path, "other.crt");
        string[] hba = [$"hostssl all all 127.0.0.1/32 scram-sha-256", "host postgres postgres 127.0.0.1/32 scram-sha-256"];
        foreach (string file in new[] { "server.crt", "server.key" }) await GiveAsync(secure, file, File.ReadAllText(Path.Combine(directory.Path, file)));
        await GiveAsync(secure, "pg_hba.conf", string.Join('\n', hba));
        await secure.ExecuteAsync(
            "postgres",
            "ALTER SYSTEM SET ssl = on",
            "SELECT pg_reload_conf()");
        string url = secure.UrlOf(name), byName = url.Replace("127.0.0.1", "localhost", StringComparison.Ordinal);
        await Eventually.HoldsAsync(async () => await TlsAsync($"{url}?sslmode=require") == "t");   // the server reloads when it likes

        Assert.Equal("t", await TlsAsync(url));
        Assert.Equal("t", await TlsAsync($"{url}?sslmode=verify-ca&sslrootcert={authority}"));
        Assert.Equal("t", await TlsAsync($"{byName}?sslmode=verify-full&sslrootcert={authority}&channel_binding=require"));
        Assert.Equal("t", Psql(Of($"{byName}?sslmode=verify-full&sslrootcert={authority}"), "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"));
        foreach (string wrong in new[] { $"{url}?sslmode=verify-full&sslrootcert={authority}", $"{byName}?sslmode=verify-ca&sslrootcert={stranger}", $"{byName}?sslrootcert=system" })
        {
            OperatorException told = await ToldAsync(Of(wrong));
            Assert.Equal(ExitCode.Refused, told.Code);
            Assert.Contains("the server's certificate is not trusted, or is another host's", told.Message, StringComparison.Ordinal);
        }
        OperatorException plain = await ToldAsync(Of($"{url}?sslmode=disable"));
        Assert.Equal(ExitCode.Refused, plain.Code);
        Assert.Contains($"the server does not let {name} in from here: no pg_hba.conf entry", plain.Message, StringComparison.Ordinal);
        Assert.Contains("cannot be read", (await ToldAsync(Of($"{url}?sslmode=verify-ca&sslrootcert={directory.Write("broken.crt", "x")}"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_clients_certificate_lets_it_in_without_a_password()
    {
        using var secure = new PostgresServer();
        string name = await secure.NewDatabaseAsync();
        Authority("ca");
        Certificate("server", "localhost", "ca");
        Certificate("client", name, "ca");
        Certificate("nobody", "nobody", "ca");
        Authority("stranger");
        Certificate("foreign", name, "stranger");
        foreach (string file in new[] { "ca.crt", "server.crt", "server.key" }) await GiveAsync(secure, file, File.ReadAllText(Path.Combine(directory.Path, file)));
        await GiveAsync(secure, "pg_hba.conf", $"hostssl {name} {name} 127.0.0.1/32 cert\nhost postgres postgres 127.0.0.1/32 scram-sha-256");
        await secure.ExecuteAsync("postgres", "ALTER SYSTEM SET ssl = on", "ALTER SYSTEM SET ssl_ca_file = 'ca.crt'", "SELECT pg_reload_conf()");
        string url = $"postgres://{name}@localhost:{secure.Port}/{name}?sslmode=verify-full&sslrootcert={directory.Path}/ca.crt";
        string With(string who) => $"{url}&sslcert={directory.Path}/{who}.crt&sslkey={directory.Path}/{who}.key";
        await Eventually.HoldsAsync(async () => await TlsAsync(With("client")) == "t");   // the server reloads when it likes

        Assert.Equal($"{name} /CN={name}", Psql(Of(With("client")), "SELECT current_user || ' ' || client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()"));
        foreach ((string wrong, string why) in new[] { (With("nobody"), "certificate authentication failed"), (url, "requires a valid client certificate") })
        {
            OperatorException told = await ToldAsync(Of(wrong));
            Assert.Equal(ExitCode.Refused, told.Code);
            Assert.Contains(why, told.Message, StringComparison.Ordinal);
        }
        await ToldAsync(Of(With("foreign")));
        Assert.Contains("cannot be read", (await ToldAsync(Of($"{url}&sslcert={directory.Path}/client.crt&sslkey={directory.Write("broken.key", "x")}"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_servers_map_of_users_lets_root_in_as_the_apps_role()
    {
        if (!Environment.IsPrivilegedProcess) Assert.Skip("only root is mapped to the role: run the tests as root");
        using var own = new PostgresServer();
        string name = await own.NewDatabaseAsync(), other = await own.NewDatabaseAsync();
        await GiveAsync(own, "pg_ident.conf", $"agentd root {name}");
        await GiveAsync(own, "pg_hba.conf", "local all all peer map=agentd\nhost all postgres 127.0.0.1/32 scram-sha-256");
        await own.ExecuteAsync("postgres", "SELECT pg_reload_conf()");
        string socket = $"?host={own.DataDirectory}&port={own.Port}";
        await Eventually.HoldsAsync(async () => await TlsAsync($"postgres://{name}@/{name}{socket}") == "f");
        Assert.Equal(name, Psql(Of($"postgres://{name}@/{name}{socket}"), "SELECT current_user"));
        OperatorException told = await ToldAsync(Of($"postgres://{other}@/{other}{socket}"));
        Assert.Equal(ExitCode.Refused, told.Code);
        Assert.Contains($"the server knows this process as root, not as {other}", told.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("11.22", false)]
    [InlineData("9.6.24", false)]
    [InlineData("12.0", true)]
    [InlineData("18.1", true)]
    public void Old_servers_are_refused(string version, bool passes)
    {
        DatabaseAddress address = Of("postgres://shop:x@db/shop");
        if (passes) Connections.RequireVersion(address, Version.Parse(version));
        else Assert.Equal(ExitCode.Refused, Assert.Throws<OperatorException>(() => Connections.RequireVersion(address, Version.Parse(version))).Code);
    }

    private static async Task<string> TlsAsync(string url)
    {
        try
        {
            await using NpgsqlConnection connection = await Connections.OpenAsync(Of(url), "agentd", Cancellation);
            await using var command = new NpgsqlCommand("SELECT CASE WHEN ssl THEN 't' ELSE 'f' END FROM pg_stat_ssl WHERE pid = pg_backend_pid()", connection);
            return (string)(await command.ExecuteScalarAsync(Cancellation))!;
        }
        catch (OperatorException e)
        {
            return e.Message;
        }
    }

    private static async Task<OperatorException> ToldAsync(DatabaseAddress address) =>
        await Assert.ThrowsAsync<OperatorException>(() => Connections.OpenAsync(address, "agentd", Cancellation));

    private static DatabaseAddress Of(string url) =>
        DatabaseAddress.Of("DATABASE_URL", new Dictionary<string, string>(), new Dictionary<string, string> { ["DATABASE_URL"] = url }, new LibpqFiles(new Disk(), "/nowhere", "/nowhere"));

    private static string Psql(DatabaseAddress address, string sql)
    {
        var start = new ProcessStartInfo($"{PostgresServer.Programs}/psql", ["-XAtqc", sql]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment.Clear();
        foreach ((string key, string value) in address.ToolEnvironment) start.Environment[key] = value;
        return Run(start);
    }

    /// <summary>Puts a file among the server's own, as the server.</summary>
    private static Task GiveAsync(PostgresServer server, string name, string text) => server.ExecuteAsync(
        "postgres", $"COPY (SELECT unnest(string_to_array('{text.TrimEnd()}', E'\\n'))) TO PROGRAM 'umask 077; cat > {server.DataDirectory}/data/{name}'");

    private void Authority(string name) => OpenSsl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", $"/CN={name}", "-keyout", $"{name}.key", "-out", $"{name}.crt");

    private void Certificate(string name, string holder, string authority)
    {
        OpenSsl("req", "-newkey", "rsa:2048", "-nodes", "-subj", $"/CN={holder}", "-addext", $"subjectAltName=DNS:{holder.Replace('_', '-')}", "-keyout", $"{name}.key", "-out", $"{name}.csr");
        OpenSsl("x509", "-req", "-in", $"{name}.csr", "-CA", $"{authority}.crt", "-CAkey", $"{authority}.key", "-days", "2", "-copy_extensions", "copy", "-out", $"{name}.crt");
    }

    private void OpenSsl(params string[] arguments) => Run(new ProcessStartInfo("openssl", arguments) { WorkingDirectory = directory.Path, RedirectStandardOutput = true, RedirectStandardError = true });

    private static string Run(ProcessStartInfo start)
    {
        using var process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"{start.FileName}: {errors.Result}");
        return output.Trim();
    }
}
