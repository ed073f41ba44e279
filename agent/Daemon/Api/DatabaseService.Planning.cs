using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Migrations;
using Agent.Daemon.Migrations.Planning;
using Agent.Daemon.Migrations.RestorePoints;
using Agent.Daemon.State;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace Agent.Daemon.Api;

/// <summary>A look before the leap: what migrations would do, and what they did in a scratch database.</summary>
internal sealed partial class DatabaseService
{
    private const int LongestText = 400, MostDifferences = 1000;

    public override Task PlanMigrations(V1.PlanMigrationsRequest request, IServerStreamWriter<V1.PlanMigrationsEvent> responseStream, ServerCallContext context) =>
        WorkAsync(context, null, responseStream, static progress => new V1.PlanMigrationsEvent { Progress = progress }, async (caller, messages, cancellationToken) =>
        {
            var wanted = new DeploymentRequest(calls.One(request.App), Exactly(request.Version), Trigger.Deploy, caller.By, request.Force)
            {
                Expect = request.Expect is "" or "none" ? (request.Expect.Length > 0 ? request.Expect : null) : new ReleaseVersion(request.Expect).Text,
            };
            return new V1.PlanMigrationsEvent { Plan = Of(await plans.PlanAsync(wanted, request.Deployment, mayFetch: caller.Role >= Role.Deployer, messages, cancellationToken)) };
        });

    public override Task RehearseMigrations(V1.RehearseMigrationsRequest request, IServerStreamWriter<V1.RehearseMigrationsEvent> responseStream, ServerCallContext context)
    {
        var wish = new Wish(request.App, Words("rehearse", request.Version));
        return WorkAsync(context, wish, responseStream, static progress => new V1.RehearseMigrationsEvent { Progress = progress }, (caller, messages, cancellationToken) =>
            calls.AuditedAsync(caller, wish, async () =>
            {
                AppName app = calls.One(request.App);
                Rehearsal done = await rehearsals.RunAsync(new DeploymentRequest(app, Exactly(request.Version), Trigger.Deploy, caller.By, Force: true), request.RestorePoint, messages, cancellationToken);
                return new V1.RehearseMigrationsEvent { Rehearsal = Of(done) };
            }, done => done.Rehearsal.Succeeded ? "it would succeed" : "it would fail"));
    }

    private static Track? Exactly(string version) => version.Length > 0 ? new Track.Exactly(new ReleaseVersion(version)) : null;

    private static V1.MigrationPlan Of(ReleasePlan plan) => new()
    {
        App = plan.App.Value,
        FromVersion = plan.From ?? "",
        ToVersion = plan.To,
        Database = plan.Database,
        Migrations = { plan.Before.Select(file => Of(file, false)), plan.Command is { AfterCommit: false } ? [Of(plan.Command)] : Array.Empty<V1.PlannedMigration>(), plan.After.Select(file => Of(file, true)), plan.Command is { AfterCommit: true } ? [Of(plan.Command)] : Array.Empty<V1.PlannedMigration>() },
        Refusal = plan.Refusal?.Message ?? "",
        Remedy = plan.Refusal?.Remedy ?? "",
        LookedInside = plan.LookedInside,
        WayBack = plan.WayBack,
    };

    private static V1.PlannedMigration Of(FilePlan plan, bool afterCommit) => new()
    {
        Name = plan.File.File.Name,
        Phase = PhaseWords.Of(plan.File.Phase),
        AfterCommit = afterCommit,
        InTransaction = plan.File.File.InTransaction,
        HasDown = plan.File.File.Down is not null,
        Reason = plan.File.File.Reason,
        Statements = { plan.Statements.Select(Of) },
    };

    // Its own program does what it does.
    private static V1.PlannedMigration Of(PlannedCommand command) => new()
    {
        Name = command.Name,
        Phase = PhaseWords.Of(command.AfterCommit ? Phase.Contract : Phase.Unknown),
        AfterCommit = command.AfterCommit,
        Statements = { new V1.PlannedStatement { Summary = PlainText.Of(command.Line, LongestText), Unseen = "the release's own command" } },
    };

    private static V1.PlannedStatement Of(StatementPlan plan) => new()
    {
        Line = plan.Line,
        Summary = PlainText.Of(plan.Summary, LongestText),
        Unseen = PlainText.Of(plan.Unseen, LongestText),
        Locks =
        {
            plan.Locks.Select(one => new V1.PlannedLock
            {
                Table = PlainText.Of(one.Table.ToString(), LongestText),
                Mode = one.Mode.Words(),
                SizeBytes = one.Facts?.Bytes ?? 0,
                Rows = one.Facts?.Rows ?? -1,
                NewTable = one.IsNew,
            }),
        },
        Warnings = { plan.Traps.Select(trap => new V1.PlanWarning { What = PlainText.Of(trap.What, LongestText), Safer = PlainText.Of(trap.Safer, LongestText) }) },
    };

    private static V1.Rehearsal Of(Rehearsal done) => new()
    {
        RestorePoint = done.Point.Id,
        RestorePointAt = Messages.Of(done.Point.At),
        Succeeded = done.Cause is null,
        Cause = done.Cause ?? "",
        SizeBefore = done.SizeBefore,
        SizeAfter = done.SizeAfter,
        SchemaDifference = { done.Difference.Take(MostDifferences).Select(line => PlainText.Of(line, LongestText)) },
        Migrations =
        {
            done.Files.Select(file => new V1.RehearsedMigration
            {
                Name = file.Name,
                Took = Duration.FromTimeSpan(file.Took),
                Locks = { file.Locks.Select(one => new V1.HeldLock { Table = PlainText.Of(one.Table, LongestText), Mode = one.Mode.Words(), Held = Duration.FromTimeSpan(one.Held) }) },
            }),
        },
    };
}
