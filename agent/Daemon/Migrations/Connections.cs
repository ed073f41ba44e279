using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using Agent.Artifacts;
using Agent.Daemon.Api;
using Npgsql;

namespace Agent.Daemon.Migrations;

/// <summary>Opens connections of their own, never out of a pool, and says plainly why one cannot be had.</summary>
internal static class Connections
{
    /// <summary>The oldest server that migrations are made for.</summary>
    public const int OldestServer = 12;

    private const int TimeoutSeconds = 10, KeepAliveSeconds = 30;

    private const int LongestText = 300;

    /// <param name="application">As servers show it: <c>agentd HOST DEPLOYMENT</c>.</param>
    /// <exception cref="OperatorException">The server does not answer (<see cref="ExitCode.Unreachable"/>), or does not let us in (<see cref="ExitCode.Refused"/>); no secret is told.</exception>
    public static async Task<NpgsqlConnection> OpenAsync(DatabaseAddress address, string application, CancellationToken cancellationToken)
    {
        var parts = new NpgsqlConnectionStringBuilder(address.ConnectionString)
        {
            ApplicationName = application,
            Pooling = false,
            Enlist = false,
            KeepAlive = KeepAliveSeconds,
            TcpKeepAlive = true,
            CommandTimeout = 0,   // the server's statement_timeout and the step's deadline count
            PersistSecurityInfo = false,
        };
        if (!parts.ShouldSerialize("Timeout") || parts.Timeout == 0) parts.Timeout = TimeoutSeconds;
        var builder = new NpgsqlSlimDataSourceBuilder(parts.ConnectionString);
        builder.EnableTransportSecurity().EnableArrays();
        NpgsqlDataSource? source = null;
        Task<NpgsqlConnection>? opening = null;
        NpgsqlConnection connection;
        try
        {
            source = builder.Build();
            opening = source.OpenConnectionAsync(cancellationToken).AsTask();
            // Npgsql loses a cancellation that comes between two of its steps, and waits for its timeout.
            connection = await opening.WaitAsync(cancellationToken);
            RequireVersion(address, connection.PostgreSqlVersion);
        }
        catch (Exception e)
        {
            _ = LetGoAsync(source, opening);
            if (e is OperatorException || cancellationToken.IsCancellationRequested || Told(address, e) is not { } told) throw;
            throw told;
        }
        // The source is one connection's own, and goes with it.
        connection.StateChange += (_, change) =>
        {
            if (change.CurrentState == System.Data.ConnectionState.Closed) source.Dispose();
        };
        return connection;
    }

    /// <summary>Closes what comes of an opening that nobody waits for any more.</summary>
    private static async Task LetGoAsync(NpgsqlDataSource? source, Task<NpgsqlConnection>? opening)
    {
        if (opening is not null)
        {
            await ((Task)opening).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (opening.IsCompletedSuccessfully) await opening.Result.DisposeAsync();
        }
        if (source is not null) await source.DisposeAsync();
    }

    /// <exception cref="OperatorException">It is too old (<see cref="ExitCode.Refused"/>).</exception>
    internal static void RequireVersion(DatabaseAddress address, Version server)
    {
        if (server.Major < OldestServer)
            throw new OperatorException(ExitCode.Refused, $"{address.Shown} is PostgreSQL {server}, which is too old", $"upgrade the server to {OldestServer} or later");
    }

    /// <summary>What a failure to connect means for the operator; null: it is a bug of ours.</summary>
    private static OperatorException? Told(DatabaseAddress address, Exception failure)
    {
        // Of several hosts the last one is told: each was tried.
        Exception last = failure is NpgsqlException { InnerException: AggregateException { InnerExceptions: [.., var of] } } ? of : failure;
        OperatorException Refused(string why, string remedy) => new(ExitCode.Refused, $"{address.Shown}: {why}", remedy, failure);
        OperatorException Unreachable(string why, string remedy) => new(ExitCode.Unreachable, $"{address.Shown}: {why}", remedy, failure);
        for (Exception? e = last; e is not null; e = e.InnerException)
        {
            switch (e)
            {
                case PostgresException server:
                    return OfServer(address, server, Refused, Unreachable);
                case SocketException socket:
                    return OfSocket(socket, Unreachable);
                case TimeoutException:
                    return Unreachable("the server does not answer in time", "see whether it runs, and whether a firewall drops what is sent to its port");
                case AuthenticationException when e.Message.Contains("certificate", StringComparison.OrdinalIgnoreCase):
                    return Refused("the server's certificate is not trusted, or is another host's", "name the authority that signed it with sslrootcert, and the server as its certificate does");
                case AuthenticationException:
                    return Refused("no TLS could be agreed on", "see the server's ssl_min_protocol_version and ssl_ciphers");
                case CryptographicException or FileNotFoundException or DirectoryNotFoundException or UnauthorizedAccessException:
                    return Refused("a certificate or key cannot be read", "see the files that sslrootcert, sslcert and sslkey name: they hold PEM");
            }
        }
        // Npgsql has no codes for its own findings.
        string text = last.Message;
        if (last is not NpgsqlException) return null;
        if (text.Contains("SSL connection requested", StringComparison.Ordinal)) return Refused("the server offers no TLS, but sslmode asks for it", "turn ssl on in postgresql.conf, or write sslmode=prefer where the way there is safe");
        if (text.Contains("No password has been provided", StringComparison.Ordinal)) return Refused($"the server wants a password, and there is none{string.Concat(address.Warnings.Select(warning => $"; {PlainText.Of(warning, LongestText)}"))}", "write it into the URL in the secrets file, or into a .pgpass that only root can read");
        if (text.Contains("ChannelBinding", StringComparison.Ordinal)) return Refused("the server offers no channel binding, but channel_binding asks for it", "use TLS with SCRAM, or write channel_binding=prefer");
        if (text.Contains("uthentication method", StringComparison.Ordinal)) return Refused("the server asks for another way to prove who we are than require_auth lets it", "correct require_auth, or pg_hba.conf of the server");
        if (last.InnerException is EndOfStreamException or IOException) return Unreachable("the server, or what is before it, closed the connection", "see the server's log; it may be starting or shutting down, or this is no PostgreSQL");
        if (text.Contains("suitable host", StringComparison.Ordinal)) return Unreachable("none of the hosts takes writes", "see which is the primary, or write target_session_attrs");
        return Unreachable($"no connection: {PlainText.Of(text, LongestText)}", "see the server's log");
    }

    private static OperatorException OfServer(DatabaseAddress address, PostgresException e, Func<string, string, OperatorException> refused, Func<string, string, OperatorException> unreachable)
    {
        string said = PlainText.Of(e.MessageText, LongestText), user = PlainText.Of(address.User, 63), name = PlainText.Of(address.Name, 63);
        return e.SqlState switch
        {
            // The same for a role that is not there: the server does not tell, so that nobody can try names.
            PostgresErrorCodes.InvalidPassword => refused($"the password of {user} is wrong, or there is no such role", "correct the URL in the secrets file, or run ALTER ROLE ... PASSWORD as an administrator"),
            PostgresErrorCodes.InvalidAuthorizationSpecification when said.Contains("pg_hba.conf", StringComparison.Ordinal) => refused($"the server does not let {user} in from here: {said}", "add a line to pg_hba.conf of the server (hostssl where it asks for TLS), and reload it"),
            PostgresErrorCodes.InvalidAuthorizationSpecification when said.Contains("eer authentication", StringComparison.Ordinal) => refused($"the server knows this process as root, not as {user}", "map root to the role in pg_ident.conf of the server, or use a password over TCP"),
            PostgresErrorCodes.InvalidAuthorizationSpecification => refused($"the server does not let {user} in: {said}", "name a role that exists and may log in"),
            PostgresErrorCodes.InvalidCatalogName => refused($"there is no database {name}", "make it, or correct its name in the URL"),
            PostgresErrorCodes.InsufficientPrivilege => refused($"{user} may not connect to {name}", $"run GRANT CONNECT ON DATABASE {name} TO {user} as an administrator"),
            PostgresErrorCodes.ObjectNotInPrerequisiteState => refused($"{name} takes no connections: {said}", "see datallowconn in pg_database"),
            PostgresErrorCodes.TooManyConnections => unreachable($"the server has no connection left: {said}", "close some, give the app a smaller pool, or raise max_connections or the role's limit"),
            PostgresErrorCodes.CannotConnectNow => unreachable($"the server is not ready: {said}", "wait until it has started, then try again"),
            var state when state.StartsWith("08", StringComparison.Ordinal) || state.StartsWith("53", StringComparison.Ordinal) || state.StartsWith("57", StringComparison.Ordinal) || state.StartsWith("58", StringComparison.Ordinal) =>
                unreachable($"{said} ({PlainText.Of(state, 5)})", "see the server's log"),
            var state => refused($"{said} ({PlainText.Of(state, 5)})", "see the server's log"),
        };
    }

    private static OperatorException OfSocket(SocketException e, Func<string, string, OperatorException> unreachable) => e.SocketErrorCode switch
    {
        SocketError.ConnectionRefused => unreachable("nothing listens there", "start PostgreSQL, or correct host and port; see its listen_addresses"),
        SocketError.HostNotFound or SocketError.TryAgain or SocketError.NoData => unreachable("the host's name is not known", "correct it, or see the resolver of this host"),
        SocketError.NetworkUnreachable or SocketError.HostUnreachable or SocketError.NetworkDown or SocketError.HostDown => unreachable("there is no way to the host", "see the network and the firewalls between"),
        SocketError.TimedOut => unreachable("the server does not answer in time", "see whether it runs, and whether a firewall drops what is sent to its port"),
        SocketError.AddressNotAvailable => unreachable("there is no such Unix socket", "start PostgreSQL, or correct the directory; see its unix_socket_directories"),
        SocketError.AccessDenied => unreachable("the Unix socket may not be used", "see the mode of the socket and its directory"),
        _ => unreachable($"no connection: {PlainText.Of(e.Message, LongestText)}", "see the network and the server's log"),
    };
}
