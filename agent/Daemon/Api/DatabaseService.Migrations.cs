using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Migrations;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace Agent.Daemon.Api;

/// <summary>What the database has seen, and who runs on it.</summary>
internal sealed partial class DatabaseService
{
    public override Task<V1.ListMigrationsResponse> ListMigrations(V1.ListMigrationsRequest request, ServerCallContext context) =>
        calls.AnswerAsync(context, async (_, cancellationToken) =>
        {
            AppDatabase database = WholeOf(request.App);
            SeenMigrations seen = await migrations.ReadAsync(database, cancellationToken);
            return new V1.ListMigrationsResponse
            {
                Database = database.Address.Shown,
                Applied = { seen.Applied.Select(Of) },
                Pending = { seen.Pending.Before.Select(pending => Of(pending, afterCommit: false)), seen.Pending.After.Select(pending => Of(pending, afterCommit: true)) },
                Hosts =
                {
                    seen.Hosts.Select(host => new V1.DatabaseHost
                    {
                        Host = PlainText.Of(host.Host, LongestText), Release = PlainText.Of(host.Release, LongestText), Updated = Timestamp.FromDateTimeOffset(host.Updated),
                    }),
                },
            };
        });

    public override Task<V1.DatabaseChangeResponse> ForgetHost(V1.ForgetHostRequest request, ServerCallContext context) =>
        calls.ChangeAsync(context, new Wish(request.App, $"db forget {request.Host}"), async (_, cancellationToken) =>
            new V1.DatabaseChangeResponse { Message = await migrations.ForgetAsync(WholeOf(request.App), request.Host, cancellationToken) }, static _ => ApiCalls.Done);

    private AppDatabase WholeOf(string app)
    {
        (AppName name, DatabaseOptions options, DatabaseAddress address) = DatabaseOf(app);
        return new AppDatabase(name, options, address);
    }

    private static V1.AppliedMigration Of(AppliedRow applied) => new()
    {
        Name = PlainText.Of(applied.Row.Name, LongestText),
        Phase = PhaseWords.Of(applied.Row.Phase),
        Checksum = PlainText.Of(applied.Row.Checksum, LongestText),
        Release = PlainText.Of(applied.Row.Release, LongestText),
        Host = PlainText.Of(applied.Row.Host, LongestText),
        Deployment = PlainText.Of(applied.Row.Deployment, LongestText),
        Started = Timestamp.FromDateTimeOffset(applied.Row.Started),
        Finished = applied.Row.Finished is { } finished ? Timestamp.FromDateTimeOffset(finished) : null,
        Milliseconds = (long)(applied.Took ?? TimeSpan.Zero).TotalMilliseconds,
    };

    private static V1.PlannedMigration Of(PendingFile pending, bool afterCommit) => new()
    {
        Name = pending.File.Name,
        Phase = PhaseWords.Of(pending.Phase),
        AfterCommit = afterCommit,
        InTransaction = pending.File.InTransaction,
        HasDown = pending.File.Down is not null,
        Reason = pending.File.Reason,
    };
}
