using Agent.V1;
using Google.Protobuf;
using Grpc.Core;

namespace Agent.Tests.Cli;

/// <summary>Two restore points; shop-12 is good, shop-7 does not come back whole.</summary>
internal sealed partial class FakeDatabase
{
    private static RestorePoint Newest => new()
    {
        Id = "shop-12",
        App = "shop",
        At = At(0),
        Release = "v2.3.1",
        Deployment = "shop-12",
        LastMigration = "0003_add_orders.sql",
        Database = "shop",
        ServerVersion = "15.18",
        Format = "pg_dump custom, zstd",
        SizeBytes = 312_400_000,
        DatabaseBytes = 2_100_000_000,
        Sha256 = new string('a', 64),
        By = "tracking",
        Newest = true,
        KeptBecause = "newest",
    };

    public override async Task TakeRestorePoint(TakeRestorePointRequest request, IServerStreamWriter<RestorePointEvent> responseStream, ServerCallContext context)
    {
        if (request.App == "blog") throw Error(StatusCode.FailedPrecondition, "a restore point may take 2100 MB, and /var/lib/agentd/restore-points/blog has room for 900 MB", "make room there", 5);
        await responseStream.WriteAsync(new RestorePointEvent { Progress = new DatabaseProgress { Message = "dumping shop", Done = 600_000_000, Total = 2_100_000_000 } });
        await responseStream.WriteAsync(new RestorePointEvent { Point = Newest });
    }

    public override Task<ListRestorePointsResponse> ListRestorePoints(ListRestorePointsRequest request, ServerCallContext context) => Task.FromResult(new ListRestorePointsResponse
    {
        Where = "/var/lib/agentd/restore-points/shop",
        Points =
        {
            Newest,
            new RestorePoint
            {
                Id = "shop-7", App = "shop", At = At(-30), Database = "shop", ServerVersion = "15.18", Format = "the operator's command: 20261119-060000F", DatabaseBytes = 2_000_000_000,
                By = "uid 0 (root)", KeptBecause = "2 of 5",
            },
        },
        Former = { new FormerDatabase { Name = "shop_agentd_before_20261120T120000_3f9a1c", Goes = "goes with the next restore, or the first deployment after 2026-11-21 12:00Z" } },
    });

    public override Task VerifyRestorePoint(VerifyRestorePointRequest request, IServerStreamWriter<RestorePointEvent> responseStream, ServerCallContext context) => responseStream.WriteAsync(new RestorePointEvent
    {
        Report = request.Id == "shop-7"
            ? new RestorePointReport { Message = "shop-7 did not come back whole", Details = { "public.orders: 12 rows in the dump, 11 came back" } }
            : new RestorePointReport { Succeeded = true, Message = "shop-12 is good: 5003 rows of 3 tables and 2 large objects came back into a scratch database" },
    });

    public override Task RestoreDatabase(RestoreDatabaseRequest request, IServerStreamWriter<RestorePointEvent> responseStream, ServerCallContext context) => request.Id == "shop-12"
        ? responseStream.WriteAsync(new RestorePointEvent
        {
            Report = new RestorePointReport
            {
                Succeeded = true,
                Message = "shop is as it was at 2026-11-20 12:00:00Z (shop-12)",
                NewRestorePoint = "shop-20261121-081235",
                Details = { "what it was until now is shop_agentd_before_20261121T081235_3f9a1c, and stays until the next restore, or the first deployment after 24 h" },
            },
        })
        : throw Error(StatusCode.InvalidArgument, $"there is no restore point '{request.Id}' in /var/lib/agentd/restore-points/shop", "list them: agentctl db list", 2);

    public override async Task DownloadRestorePoint(DownloadRestorePointRequest request, IServerStreamWriter<RestorePointChunk> responseStream, ServerCallContext context)
    {
        await responseStream.WriteAsync(new RestorePointChunk { Point = Newest });
        await responseStream.WriteAsync(new RestorePointChunk { Data = ByteString.CopyFromUtf8("PGDMP") });
        if (request.Id == "cut") throw Error(StatusCode.FailedPrecondition, "restore point cut is damaged", "use another: agentctl db list", 5);
        await responseStream.WriteAsync(new RestorePointChunk { Data = ByteString.CopyFromUtf8(" and more") });
    }
}
