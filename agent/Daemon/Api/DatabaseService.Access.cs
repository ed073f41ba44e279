using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Migrations;
using Agent.Daemon.Migrations.Administration;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Npgsql;

namespace Agent.Daemon.Api;

/// <summary>The database itself: made, reached, looked at.</summary>
internal sealed partial class DatabaseService
{
    private const int LongestQuery = 200;

    public override Task<V1.DatabaseChangeResponse> CreateDatabase(V1.CreateDatabaseRequest request, ServerCallContext context) =>
        calls.ChangeAsync(context, new Wish(request.App, "db create"), async (caller, cancellationToken) =>
        {
            AppName app = calls.One(request.App);
            using IDisposable turn = engine.TakeTurn(app, caller.By);
            return new V1.DatabaseChangeResponse { Message = await creation.CreateAsync(configuration.App(app), cancellationToken) };
        }, _ => ApiCalls.Done);

    public override Task<V1.GetDatabaseUrlResponse> GetDatabaseUrl(V1.GetDatabaseUrlRequest request, ServerCallContext context) => request.Reveal
        ? calls.ChangeAsync(context, new Wish(request.App, "db url --reveal", Role.Admin), (_, _) => Task.FromResult(Url(request)), _ => ApiCalls.Done)
        : calls.AnswerAsync(context, (_, _) => Task.FromResult(Url(request)));

    public override Task<V1.GetDatabaseStatsResponse> GetDatabaseStats(V1.GetDatabaseStatsRequest request, ServerCallContext context) =>
        calls.AnswerAsync(context, async (_, cancellationToken) =>
        {
            DatabaseAddress address = DatabaseOf(request.App).Address;
            DatabaseStatistics found = await DatabaseStatistics.ReadAsync(address, cancellationToken);
            return new V1.GetDatabaseStatsResponse
            {
                Database = address.Shown,
                ServerVersion = found.ServerVersion,
                SizeBytes = found.SizeBytes,
                Connections = found.Connections,
                MaxConnections = found.MaxConnections,
                CacheHitRatio = found.CacheHitRatio ?? -1,
                Warnings = { WarningsOf(address) },
                Tables = { found.Tables.Select(table => new V1.TableStats { Name = PlainText.Of(table.Name, LongestQuery), SizeBytes = table.SizeBytes, Rows = table.Rows, DeadRows = table.DeadRows }) },
                Busy =
                {
                    found.Busy.Select(one => new V1.BusySession
                    {
                        Pid = one.Pid,
                        Application = PlainText.Of(one.Application, LongestQuery),
                        State = one.State,
                        Age = Duration.FromTimeSpan(one.Age),
                        Query = PlainText.Of(one.Query, LongestQuery),
                        Blocked = one.Blocked,
                    }),
                },
            };
        });

    private V1.GetDatabaseUrlResponse Url(V1.GetDatabaseUrlRequest request)
    {
        DatabaseAddress address = DatabaseOf(request.App).Address;
        var parts = new NpgsqlConnectionStringBuilder(address.ConnectionString);
        if (!request.Reveal) parts.Password = null;
        return new V1.GetDatabaseUrlResponse
        {
            Url = DatabaseUrl.Of(parts),
            Environment = { request.Reveal ? address.ToolEnvironment.ToDictionary() : [] },
            Warnings = { WarningsOf(address) },
        };
    }

    private static IEnumerable<string> WarningsOf(DatabaseAddress address) => address.Warnings.Select(warning => PlainText.Of(warning, LongestText));
}
