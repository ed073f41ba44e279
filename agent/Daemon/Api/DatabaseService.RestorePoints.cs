using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Migrations;
using Agent.Daemon.Migrations.RestorePoints;
using Grpc.Core;

namespace Agent.Daemon.Api;

/// <summary>Restore points: taken, listed, tried, put back, handed out. Who asks for one and goes away ends it, until the swap of a restore.</summary>
internal sealed partial class DatabaseService
{
    private const int LargestChunk = 64 << 10;

    public override Task TakeRestorePoint(V1.TakeRestorePointRequest request, IServerStreamWriter<V1.RestorePointEvent> responseStream, ServerCallContext context) =>
        PointEventsAsync(context, new Wish(request.App, "db backup"), responseStream, async (caller, progress, cancellationToken) =>
        {
            (AppName app, DatabaseOptions options, DatabaseAddress address) = DatabaseOf(request.App);
            using IDisposable turn = engine.TakeTurn(app, caller.By);
            RestorePoint point = await points.TakeAsync(app, options, address, ByHand(app, caller), progress, cancellationToken);
            return (new V1.RestorePointEvent { Point = Of(point, "newest", newest: true) }, point.Id);
        });

    public override Task<V1.ListRestorePointsResponse> ListRestorePoints(V1.ListRestorePointsRequest request, ServerCallContext context) =>
        calls.AnswerAsync(context, async (_, cancellationToken) =>
        {
            AppName app = calls.One(request.App);
            DatabaseOptions options = OptionsOf(app);
            var response = new V1.ListRestorePointsResponse { Where = points.Store(app, options).Where };
            response.Points.AddRange((await points.ListAsync(app, options, cancellationToken)).Select((kept, index) => Of(kept.Point, kept.Because, index == 0)));
            using var soon = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            soon.CancelAfter(TimeSpan.FromSeconds(5));
            try
            {
                response.Former.AddRange((await points.BesideAsync(app, options, AddressOf(app, options), soon.Token)).Select(former => new V1.FormerDatabase { Name = former.Name, Goes = former.Goes }));
            }
            catch (Exception e) when (e is OperatorException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
            {
                // A database that is away is no reason to hide its restore points.
                response.FormerUnknown = e is OperatorException told ? told.Message : "the database did not answer in 5 s";
            }
            return response;
        });

    public override Task VerifyRestorePoint(V1.VerifyRestorePointRequest request, IServerStreamWriter<V1.RestorePointEvent> responseStream, ServerCallContext context) =>
        PointEventsAsync(context, new Wish(request.App, Words("db verify", request.Id)), responseStream, async (caller, progress, cancellationToken) =>
        {
            (AppName app, DatabaseOptions options, DatabaseAddress address) = DatabaseOf(request.App);
            RestorePoint point = await points.FindAsync(app, options, request.Id, cancellationToken);
            Verification found = await points.VerifyAsync(app, options, address, point, caller.By, progress, cancellationToken);
            bool good = found.Differences.Count == 0;
            var report = new V1.RestorePointReport
            {
                Succeeded = good,
                Message = good
                    ? $"{point.Id} is good: {found.Rows} rows of {found.Tables} tables and {found.LargeObjects} large objects came back into a scratch database"
                    : $"{point.Id} did not come back whole",
                Details = { found.Differences.Select(difference => PlainText.Of(difference, 400)) },
            };
            return (new V1.RestorePointEvent { Report = report }, good ? $"{point.Id} is good" : $"{point.Id} is not good");
        });

    public override Task RestoreDatabase(V1.RestoreDatabaseRequest request, IServerStreamWriter<V1.RestorePointEvent> responseStream, ServerCallContext context) =>
        PointEventsAsync(context, new Wish(request.App, Words("db restore", request.Id)), responseStream, async (caller, progress, cancellationToken) =>
        {
            if (request.Id.Length == 0) throw new OperatorException(ExitCode.Usage, "a restore names its restore point", "list them: agentctl db list");
            (AppName app, DatabaseOptions options, DatabaseAddress address) = DatabaseOf(request.App);
            using IDisposable turn = engine.TakeTurn(app, caller.By);
            Restored restored = await points.RestoreByHandAsync(app, options, address, request.Id, ByHand(app, caller), progress, cancellationToken);
            var report = new V1.RestorePointReport
            {
                Succeeded = true,
                Message = $"{address.Name} is as it was at {restored.Point.At.UtcDateTime:yyyy-MM-dd HH:mm:ss}Z ({restored.Point.Id})",
                NewRestorePoint = restored.Before.Id,
            };
            if (restored.Former is { } former) report.Details.Add($"what it was until now is {former}, and stays until the next restore, or the first deployment after {RestorePointService.FormerStays.TotalHours:0} h");
            if (restored.Before.LastMigration != restored.Point.LastMigration)
                report.Details.Add($"its last migration is {restored.Point.LastMigration ?? "none"}, it was {restored.Before.LastMigration ?? "none"}: deploy again what runs, so that it is migrated, or go back to {restored.Point.Release ?? "a release that fits"}");
            return (new V1.RestorePointEvent { Report = report }, $"{restored.Point.Id} restored");
        });

    public override Task DownloadRestorePoint(V1.DownloadRestorePointRequest request, IServerStreamWriter<V1.RestorePointChunk> responseStream, ServerCallContext context)
    {
        var wish = new Wish(request.App, Words("db download", request.Id));
        return calls.StreamAsync(context, (caller, cancellationToken) => calls.AuditedAsync(caller, wish, async () =>
        {
            AppName app = calls.One(request.App);
            DatabaseOptions options = OptionsOf(app);
            RestorePoint point = await points.FindAsync(app, options, request.Id, cancellationToken);
            if (point.Name is not null)
                throw new OperatorException(ExitCode.Refused, $"restore point {point.Id} was made by a command of your own, and agentd does not have it", $"it is '{point.Name}'");
            RestorePointStore store = points.Store(app, options);
            await store.CheckAsync(point, cancellationToken);   // before the first byte
            await responseStream.WriteAsync(new V1.RestorePointChunk { Point = Of(point, "", newest: false) }, cancellationToken);
            await Task.Factory.StartNew(() => store.Read(point, chunk =>
            {
                for (; !chunk.IsEmpty; chunk = chunk[Math.Min(chunk.Length, LargestChunk)..])
                {
                    var data = Google.Protobuf.ByteString.CopyFrom(chunk.Span[..Math.Min(chunk.Length, LargestChunk)]);
                    responseStream.WriteAsync(new V1.RestorePointChunk { Data = data }, cancellationToken).GetAwaiter().GetResult();
                }
            }, null, cancellationToken), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
            return point.Id;
        }, id => $"{id} downloaded"), wish);
    }

    /// <summary>Streams what the work tells on its way, then what it came to; the audit gets the outcome.</summary>
    private Task PointEventsAsync(
        ServerCallContext context, Wish wish, IServerStreamWriter<V1.RestorePointEvent> responseStream,
        Func<Caller, IWorkProgress, CancellationToken, Task<(V1.RestorePointEvent Last, string Outcome)>> work) =>
        WorkAsync(context, wish, responseStream, static progress => new V1.RestorePointEvent { Progress = progress }, async (caller, progress, cancellationToken) =>
            (await calls.AuditedAsync(caller, wish, () => work(caller, progress, cancellationToken), done => done.Outcome)).Last);

    private (AppName App, DatabaseOptions Options, DatabaseAddress Address) DatabaseOf(string typed)
    {
        AppName app = calls.One(typed);
        DatabaseOptions options = OptionsOf(app);
        return (app, options, AddressOf(app, options));
    }

    private DatabaseOptions OptionsOf(AppName app) => configuration.App(app).Database ?? throw new OperatorException(
        ExitCode.Refused, $"{app} has no database that agentd knows of", $"write 'database: DATABASE_URL' into apps.d/{app}.yaml, and the URL into its secrets");

    private DatabaseAddress AddressOf(AppName app, DatabaseOptions options)
    {
        AppOptions settings = configuration.App(app);
        return DatabaseAddress.Of(
            options, engine.Running(app)?.Environment ?? settings.Environment, settings.SecretsFile is { } file ? configuration.Secrets(file) : new Dictionary<string, string>());
    }

    private RestorePointReason ByHand(AppName app, Caller caller) => new(engine.State(app).Current?.Version, null, caller.By);

    private static string Words(string verb, string id) => id.Length > 0 ? $"{verb} {id}" : verb;

    private static V1.RestorePoint Of(RestorePoint point, string because, bool newest) => new()
    {
        Id = point.Id,
        App = point.App,
        At = Messages.Of(point.At),
        Release = point.Release ?? "",
        Deployment = point.Deployment ?? "",
        LastMigration = point.LastMigration ?? "",
        Database = point.Database,
        ServerVersion = point.ServerVersion,
        Format = point.Format,
        SizeBytes = point.Size,
        DatabaseBytes = point.DatabaseSize,
        Sha256 = point.Sha256,
        By = point.By,
        Newest = newest,
        KeptBecause = because,
    };
}
