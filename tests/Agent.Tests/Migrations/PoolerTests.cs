using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Agent.Artifacts;
using Agent.Tests.Fakes;
using Agent.Tests.Protos;

namespace Agent.Tests.Migrations;

/// <summary>A real PgBouncer between the agent and the server.</summary>
public sealed class PoolerTests(PostgresServer server)
{
    private const string Program = "/usr/sbin/pgbouncer";

    [Theory]
    [InlineData("transaction", 20, false)]
    [InlineData("transaction", 1, false)]
    [InlineData("statement", 20, false)]
    [InlineData("session", 20, true)]
    public async Task A_pooler_that_cannot_hold_a_session_is_refused_with_the_remedy(string mode, int size, bool goes)
    {
        Assert.SkipUnless(File.Exists(Program), "no PgBouncer: apt-get install pgbouncer");
        using Shop shop = await Shop.NewAsync(server);
        using var directory = new TemporaryDirectory();
        using var free = new TcpListener(IPAddress.Loopback, 0);
        free.Start();
        int port = ((IPEndPoint)free.LocalEndpoint).Port;
        free.Stop();
        string users = directory.Write("users", $"\"{shop.Name}\" \"{shop.Name}\"\n");
        string file = directory.Write("pgbouncer.ini",
            $"""
            [databases]
            {shop.Name} = host=127.0.0.1 port={server.Port}
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = {port}
            unix_socket_dir =
            auth_type = scram-sha-256
            auth_file = {users}
            pool_mode = {mode}
            default_pool_size = {size}
            ignore_startup_parameters = extra_float_digits
            """);
        File.SetUnixFileMode(directory.Path, (UnixFileMode)0b111_101_101);
        string[] command = Environment.IsPrivilegedProcess ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", Program, file] : [Program, file];
        using Process pooler = Process.Start(new ProcessStartInfo(command[0], command[1..]) { RedirectStandardError = true, RedirectStandardOutput = true })!;
        try
        {
            pooler.ErrorDataReceived += static (_, _) => { };
            pooler.OutputDataReceived += static (_, _) => { };
            pooler.BeginErrorReadLine();
            pooler.BeginOutputReadLine();
            await Eventually.HoldsAsync(() => Listens(port));
            shop.Url = $"postgres://{shop.Name}:{shop.Name}@127.0.0.1:{port}/{shop.Name}";
            Task<(string?, string?)> deployment = shop.DeployAsync(null, shop.Release("v1.0.0", ("0001_a.sql", "CREATE TABLE a (x int);\n")));
            if (goes)
            {
                await deployment;
                Assert.Equal("0001_a.sql", await shop.LedgerAsync());
                return;
            }
            OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => deployment);
            Assert.True(e.Code == ExitCode.Refused, e.Message);
            Assert.Contains("pooler", e.Message, StringComparison.Ordinal);
            Assert.Contains("pool_mode = session", e.Remedy, StringComparison.Ordinal);
            Assert.False(await shop.HasTableAsync("agentd.migration"));
        }
        finally
        {
            pooler.Kill();
            await pooler.WaitForExitAsync(CancellationToken.None);
        }
    }

    private static bool Listens(int port)
    {
        using var client = new TcpClient();
        try
        {
            client.Connect(IPAddress.Loopback, port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
