using Agent.Artifacts;
using Npgsql;

namespace Agent.Daemon.Migrations.RestorePoints;

/// <summary>Runs statements, each by itself and in one session, as somebody who may make and rename databases, in a database of that name.</summary>
/// <exception cref="OperatorException">One failed, or there is nobody who may.</exception>
internal delegate Task AdminStatements(string database, IReadOnlyList<string> statements, CancellationToken cancellationToken);

/// <summary>
/// Makes, swaps and drops databases of the server that has the app's. The app's own role does it where it may (CREATEDB); else <paramref name="admin"/>.
/// </summary>
/// <param name="application">As the server's administrators see it.</param>
internal sealed class DatabaseServer(DatabaseAddress address, string application, AdminStatements admin)
{
    // Databases that a server has for connecting to; renaming needs a connection to none of the renamed.
    private static readonly string[] s_neutral = ["postgres", "template1"];

    /// <summary>Names of all databases that begin like this.</summary>
    public async Task<IReadOnlyList<string>> ListAsync(CancellationToken cancellationToken)
    {
        await using ServerSession session = await ServerSession.OpenAsync(address, application, cancellationToken);
        return await session.QueryAsync("SELECT datname::text FROM pg_catalog.pg_database WHERE datname LIKE '%\\_agentd\\_%' ORDER BY datname", row => row.GetString(0), cancellationToken);
    }

    /// <summary>Makes an empty database with owner, encoding, locale, rights and settings of the app's own, and the extensions that its role cannot make.</summary>
    public async Task CreateLikeOwnAsync(string name, CancellationToken cancellationToken)
    {
        await using ServerSession session = await ServerSession.OpenAsync(address, application, cancellationToken);
        OwnDatabase own = await OwnDatabase.ReadAsync(session, cancellationToken);
        bool self = await MayAsync(session, cancellationToken);
        await RunAsync(self, [own.CreateStatement(name), .. own.LikenStatements(name)], cancellationToken);
        string[] extensions = [.. own.ExtensionsOfOthers.Select(e => $"CREATE EXTENSION IF NOT EXISTS {ServerSession.Quote(e)} WITH SCHEMA public")];
        if (extensions.Length > 0) await admin(name, extensions, cancellationToken);
    }

    /// <summary>
    /// Puts <paramref name="name"/> in the place of the app's own database, which is <paramref name="former"/> from then on: all or nothing, also for who is killed meanwhile.
    /// Ends every connection to either, that of the caller too.
    /// </summary>
    public async Task SwapAsync(string name, string former, CancellationToken cancellationToken)
    {
        bool self;
        await using (ServerSession session = await ServerSession.OpenAsync(address, application, cancellationToken)) self = await MayAsync(session, cancellationToken);
        string own = address.Name;
        // Renaming waits for 5 s that others leave, and keeps new ones out meanwhile; one that came in just before is ended at the next try.
        string swap = $"""
            DO $agentd_swap$
            DECLARE tries int := 0;
            BEGIN
              LOOP
                PERFORM pg_catalog.pg_stat_clear_snapshot();
                PERFORM pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
                  WHERE datname IN ({ServerSession.Literal(own)}, {ServerSession.Literal(name)}) AND backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid();
                BEGIN
                  ALTER DATABASE {ServerSession.Quote(own)} RENAME TO {ServerSession.Quote(former)};
                  ALTER DATABASE {ServerSession.Quote(name)} RENAME TO {ServerSession.Quote(own)};
                  EXIT;
                EXCEPTION WHEN object_in_use THEN
                  tries := tries + 1;
                  IF tries >= 10 THEN RAISE; END IF;
                END;
              END LOOP;
            END $agentd_swap$
            """;
        await RunAsync(self, [swap], cancellationToken);
    }

    /// <summary>Drops a database beside the app's own, with whoever is connected to it. Nothing where it is gone.</summary>
    public async Task DropAsync(string name, CancellationToken cancellationToken)
    {
        bool self;
        await using (ServerSession session = await ServerSession.OpenAsync(address, application, cancellationToken))
        {
            IReadOnlyList<bool> owned = await session.QueryAsync("SELECT pg_catalog.pg_has_role(datdba, 'USAGE') FROM pg_catalog.pg_database WHERE datname = $1", row => row.GetBoolean(0), cancellationToken, name);
            if (owned.Count == 0) return;
            self = owned[0];
        }
        string end = $"SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE datname = {ServerSession.Literal(name)} AND backend_type = 'client backend'";
        await RunAsync(self, [end, $"DROP DATABASE IF EXISTS {ServerSession.Quote(name)}"], cancellationToken);
    }

    // Making takes CREATEDB; renaming takes that, and owning what is renamed.
    private static Task<bool> MayAsync(ServerSession session, CancellationToken cancellationToken) => session.ValueAsync<bool>(
        """
        SELECT r.rolsuper OR (r.rolcreatedb AND pg_catalog.pg_has_role(d.datdba, 'USAGE'))
        FROM pg_catalog.pg_roles r, pg_catalog.pg_database d WHERE r.rolname = current_user AND d.datname = current_database()
        """, cancellationToken);

    private async Task RunAsync(bool self, IReadOnlyList<string> statements, CancellationToken cancellationToken)
    {
        if (!self)
        {
            await admin(s_neutral[0], statements, cancellationToken);
            return;
        }
        await using ServerSession session = await NeutralAsync(cancellationToken);
        foreach (string statement in statements) await session.ExecuteAsync(statement, cancellationToken);
    }

    private async Task<ServerSession> NeutralAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await ServerSession.OpenAsync(address.WithDatabase(s_neutral[0]), application, cancellationToken);
        }
        catch (OperatorException e) when (e.InnerException is PostgresException { SqlState: "3D000" or "42501" or "28000" })
        {
            return await ServerSession.OpenAsync(address.WithDatabase(s_neutral[1]), application, cancellationToken);
        }
    }
}
