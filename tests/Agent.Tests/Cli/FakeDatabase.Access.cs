using Agent.V1;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace Agent.Tests.Cli;

/// <summary>The database of shop is there; blog has none yet.</summary>
internal sealed partial class FakeDatabase
{
    public override Task<DatabaseChangeResponse> CreateDatabase(CreateDatabaseRequest request, ServerCallContext context) => request.App == "blog"
        ? Task.FromResult(new DatabaseChangeResponse { Message = "role and database blog are made: postgres://blog@127.0.0.1:5432/blog; DATABASE_URL is in /etc/agentd/secrets.d/blog.env" })
        : throw Error(StatusCode.FailedPrecondition, "shop has its database: DATABASE_URL is set already", "look where it is: agentctl db url --app shop", 5);

    public override Task<GetDatabaseUrlResponse> GetDatabaseUrl(GetDatabaseUrlRequest request, ServerCallContext context) => Task.FromResult(request.Reveal
        ? new GetDatabaseUrlResponse
        {
            Url = "postgres://shop:sesame@db.example:5432/shop",
            Environment = { ["PGHOST"] = "db.example", ["PGPORT"] = "5432", ["PGUSER"] = "shop", ["PGPASSWORD"] = "sesame", ["PGDATABASE"] = "shop" },
        }
        : request.App == "blog"
            ? new GetDatabaseUrlResponse { Url = "postgres://blog@127.0.0.1:5432/blog", Warnings = { "/root/.pgpass is open to others than its owner (chmod 600), and is ignored" } }
            : new GetDatabaseUrlResponse { Url = "postgres://shop@db.example:5432/shop" });

    public override Task<GetDatabaseStatsResponse> GetDatabaseStats(GetDatabaseStatsRequest request, ServerCallContext context) => Task.FromResult(request.App == "blog"
        ? new GetDatabaseStatsResponse { Database = "postgres://blog@127.0.0.1:5432/blog", ServerVersion = "15.18", SizeBytes = 7_600_000, Connections = 3, MaxConnections = 100, CacheHitRatio = -1, Warnings = { "/root/.pgpass is open to others than its owner (chmod 600), and is ignored\e[2J" } }
        : new GetDatabaseStatsResponse
        {
            Database = "postgres://shop@db.example:5432/shop",
            ServerVersion = "15.18",
            SizeBytes = 2_100_000_000,
            Connections = 14,
            MaxConnections = 100,
            CacheHitRatio = 0.9871,
            Tables =
            {
                new TableStats { Name = "public.orders", SizeBytes = 1_900_000_000, Rows = 12_000_000, DeadRows = 40_000 },
                new TableStats { Name = "public.new\e[2J", SizeBytes = 8192, Rows = -1 },
            },
            Busy =
            {
                new BusySession { Pid = 812, Application = "report", State = "active", Age = Duration.FromTimeSpan(TimeSpan.FromMinutes(3)), Query = "SELECT sum(total) FROM orders" },
                new BusySession { Pid = 901, Application = "agentd web1 shop-12", State = "active", Age = Duration.FromTimeSpan(TimeSpan.FromSeconds(1.5)), Query = "ALTER TABLE orders ADD note text", Blocked = true },
            },
        });
}
