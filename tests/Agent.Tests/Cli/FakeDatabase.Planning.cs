using Agent.V1;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace Agent.Tests.Cli;

/// <summary>v2.4.0 has a trap; v2.5.0 nothing; v2.6.0 is refused, and where it is rehearsed it fails.</summary>
internal sealed partial class FakeDatabase
{
    private const string Address = "postgres://shop@db.example:5432/shop";

    public override async Task PlanMigrations(PlanMigrationsRequest request, IServerStreamWriter<PlanMigrationsEvent> responseStream, ServerCallContext context)
    {
        await responseStream.WriteAsync(new PlanMigrationsEvent { Progress = new DatabaseProgress { Message = $"looking at {Address}" } }, context.CancellationToken);
        var plan = new MigrationPlan { App = "shop", FromVersion = "v2.3.1", ToVersion = request.Version, Database = Address, LookedInside = true, WayBack = "a rollback finds the database as it is now" };
        if (request.Version == "v2.4.0")
        {
            plan.LookedInside = !request.Force;
            plan.WayBack = "no rollback by itself: 0012_rename.sql (unknown, no .down.sql); then --restore-database, --ignore-schema, or a mended release";
            plan.Migrations.Add(new PlannedMigration
            {
                Name = "0011_note.sql",
                Phase = "expand",
                InTransaction = true,
                HasDown = true,
                Reason = "customers may leave a note",
                Statements =
                {
                    new PlannedStatement { Line = 3, Summary = "CREATE TABLE notes (id bigserial PRIMARY KEY)", Locks = { new PlannedLock { Table = "notes", Mode = "ACCESS EXCLUSIVE", Rows = -1, NewTable = true } } },
                    new PlannedStatement
                    {
                        Line = 14,
                        Summary = "CREATE INDEX orders_by_customer_and_day ON orders (customer_id, placed_at) WHERE cancelled_at IS NULL",
                        Locks = { new PlannedLock { Table = "orders", Mode = "SHARE", SizeBytes = 1_234_567_890, Rows = 9_000_000 } },
                        Warnings = { new PlanWarning { What = "writes to orders wait until the index is built", Safer = "CREATE INDEX CONCURRENTLY, with '-- agentd: no-transaction' at the top of its file" } },
                    },
                },
            });
            plan.Migrations.Add(new PlannedMigration
            {
                Name = "0012_rename.sql",
                Phase = "unknown",
                AfterCommit = false,
                Statements =
                {
                    new PlannedStatement
                    {
                        Line = 1,
                        Summary = "DO $$ BEGIN EXECUTE format('DROP TABLE %I', old); END $$\e[2J",
                        Locks = { new PlannedLock { Table = "imports", Mode = "ACCESS EXCLUSIVE", SizeBytes = 8192, Rows = -1 } },
                        Unseen = "a DO block: EXECUTE of a computed string",
                    },
                },
            });
            plan.Migrations.Add(new PlannedMigration { Name = "command v2.4.0", Phase = "contract", AfterCommit = true, Statements = { new PlannedStatement { Summary = "bin/shop migrate", Unseen = "the release's own command" } } });
        }
        if (request.Version == "v2.6.0" && request.Deployment)
        {
            plan.Refusal = "shop v2.6.0 is quarantined on this host since d2: GET /up gave 503 for 20s";
            plan.Remedy = "publish a mended version";
        }
        await responseStream.WriteAsync(new PlanMigrationsEvent { Plan = plan }, context.CancellationToken);
    }

    public override async Task RehearseMigrations(RehearseMigrationsRequest request, IServerStreamWriter<RehearseMigrationsEvent> responseStream, ServerCallContext context)
    {
        var rehearsal = new Rehearsal { RestorePoint = "shop-12", RestorePointAt = At(-1), Succeeded = request.Version != "v2.6.0", SizeBefore = 1_200_000_000, SizeAfter = 1_300_000_000 };
        rehearsal.Migrations.Add(new RehearsedMigration
        {
            Name = "0011_note.sql",
            Took = Duration.FromTimeSpan(TimeSpan.FromSeconds(12.34)),
            Locks =
            {
                new HeldLock { Table = "orders", Mode = "SHARE", Held = Duration.FromTimeSpan(TimeSpan.FromSeconds(12.1)) },
                new HeldLock { Table = "customers", Mode = "ROW SHARE", Held = Duration.FromTimeSpan(TimeSpan.Zero) },
            },
        });
        if (rehearsal.Succeeded) rehearsal.SchemaDifference.Add(["- column public.orders.old text f", "+ column public.orders.note text f"]);
        else rehearsal.Cause = "0011_note.sql:14: column \"note\" of relation \"orders\" already exists (42701), in: ALTER TABLE orders ADD COLUMN note text";
        await responseStream.WriteAsync(new RehearseMigrationsEvent { Rehearsal = rehearsal }, context.CancellationToken);
    }
}
