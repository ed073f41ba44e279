using Agent.V1;
using Grpc.Core;

namespace Agent.Tests.Cli;

internal sealed partial class FakeDatabase
{
    public override Task<ListMigrationsResponse> ListMigrations(ListMigrationsRequest request, ServerCallContext context) => Task.FromResult(new ListMigrationsResponse
    {
        Database = "postgres://shop@db.example:5432/shop",
        Applied =
        {
            new AppliedMigration
            {
                Name = "0001_orders.sql", Phase = "expand", Checksum = new string('a', 64), Release = "v2.3.0", Host = "web1", Deployment = "d1", Started = At(0), Finished = At(0.001), Milliseconds = 3600,
            },
            new AppliedMigration { Name = "0002_index.sql", Phase = "unknown", Checksum = new string('b', 64), Release = "v2.3.1", Host = "web2\u001b[2J", Deployment = "d2", Started = At(1) },
        },
        Pending = { new PlannedMigration { Name = "0003_drop.sql", Phase = "contract", AfterCommit = true, InTransaction = true, HasDown = false, Reason = "nobody reads it" } },
        Hosts = { new DatabaseHost { Host = "web1", Release = "v2.3.1", Updated = At(2) }, new DatabaseHost { Host = "web2", Release = "v2.3.0", Updated = At(1) } },
    });

    public override Task<DatabaseChangeResponse> ForgetHost(ForgetHostRequest request, ServerCallContext context) => request.Host == "web2"
        ? Task.FromResult(new DatabaseChangeResponse { Message = "web2 is forgotten: contracting migrations do not wait for it, and run with the next deployment" })
        : throw Error(StatusCode.FailedPrecondition, $"no host of that name runs shop on postgres://shop@db.example:5432/shop", "name one of web1, web2", 5);
}
