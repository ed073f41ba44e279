using System.Collections.Concurrent;
using System.Collections.Immutable;
using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Health;

namespace Agent.Daemon.Migrations;

/// <summary>PostgreSQL.</summary>
internal sealed class Migrator(MigrationTools tools) : IMigrator
{
    /// <summary>For how long going back waits for a server that is away.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    // What each app's deployment under way was begun with, for the row of this host once it is kept. Lost with the agent: then the row claims too little.
    private readonly ConcurrentDictionary<AppName, MigrationRequest> begun = new();

    public async Task<IMigration> BeginAsync(MigrationRequest request, IProgress<string> messages, CancellationToken cancellationToken)
    {
        begun[request.App] = request;
        MigrationRun run = Run(request, request.To, request.From, request.IgnoreSchema, messages);
        foreach (string warning in run.Database.Address.Warnings)
        {
            tools.Logger.AddressWarning(request.App, run.Database.Address.Shown, Spoken.Line(warning, 300), request.Deployment);
            run.Say(warning);
        }
        try
        {
            return await run.ExplainAsync(async () =>
            {
                await run.OpenAsync(cancellationToken);
                if (request.RestorePoint is { } point)
                {
                    if ((await tools.Points.ListAsync(request.App, run.Database.Options, cancellationToken)).All(known => known.Id != point))
                        throw new OperatorException(ExitCode.Refused, $"there is no restore point {point} on this host", $"agentctl db list --app {request.App}");
                    await run.LockAsync(static () => true, cancellationToken);
                    return new Migration(tools, run, request);
                }
                var refusals = new Refusals(tools, run, request.App, request.To.Version);
                await refusals.ThrowIfAnyAsync(ExitCode.Refused, cancellationToken);
                // What waits for the commit point has the lock of its own there.
                bool Needed() => Migration.NeedsLock(run) || run.ToRegister;
                if (Needed() && await run.LockAsync(Needed, cancellationToken))
                {
                    await refusals.ThrowIfAnyAsync(ExitCode.Refused, cancellationToken);
                    await run.RegisterAsync(committed: false, cancellationToken);
                }
                var migration = new Migration(tools, run, request);
                if (!migration.Pending) await run.DisposeAsync();
                return migration;
            });
        }
        catch
        {
            await run.DisposeAsync();
            throw;
        }
    }

    public async Task<string?> UndoAsync(MigrationRequest request, IProgress<string> messages, CancellationToken cancellationToken)
    {
        if (request.From is not { } from) return null;   // nothing ran before that could mind
        long began = tools.Time.GetTimestamp();
        for (int attempt = 0; ; attempt++)
        {
            try
            {
                return await UndoOnceAsync(request, from, messages, cancellationToken);
            }
            catch (OperatorException e) when (e.Code == ExitCode.Unreachable && tools.Time.GetElapsedTime(began) < Patience)
            {
                messages.Report($"{e.Message}; tries again");
                await Task.Delay(TimeSpan.FromSeconds(1 << Math.Min(attempt, 3)) * (0.5 + (tools.Random.NextDouble() / 2)), tools.Time, cancellationToken);
            }
        }
    }

    public async Task<string> ContractAsync(MigrationRequest request, IProgress<string> messages, CancellationToken cancellationToken)
    {
        await using MigrationRun run = Run(request, request.To, request.From, ignoreSchema: true, messages);
        return await run.ExplainAsync(async () =>
        {
            await run.StopCommandAsync(cancellationToken);   // of a life of the agent that was killed
            await run.OpenAsync(cancellationToken);
            await run.LockAsync(static () => true, cancellationToken);
            await run.RegisterAsync(committed: true, cancellationToken);
            (IReadOnlyList<PendingFile> ready, string waiting) = await ReadyAsync(run, request.App, cancellationToken);
            bool command = run.Pending.Command && run.Target.Command!.AfterCommit;
            if (command && await run.OlderHostsAsync(cancellationToken) is { Count: > 0 } older) (command, waiting) = (false, Waits(run.Target.CommandName, older, request.App));
            var done = new List<string>();
            if (ready.Count > 0 || command)
            {
                if (run.Database.Options.RestorePoints is not null) done.Add(await run.TakePointAsync(cancellationToken));
                long began = tools.Time.GetTimestamp();
                IReadOnlyList<string> names = await run.ForwardAsync(ready, cancellationToken);
                if (names.Count > 0) done.Add(Migration.Told(names, tools.Time.GetElapsedTime(began)));
                if (command) done.Add(await run.CommandAsync(cancellationToken));
            }
            if (waiting.Length > 0) done.Add(waiting);
            return done.Count > 0 ? string.Join("; ", done) : "nothing is pending";
        });
    }

    public void RemoveLeftovers(AppName app, DatabaseOptions database) => tools.Points.RemoveLeftovers(app, database);

    public async Task SweepAsync(AppDefinition definition, CancellationToken cancellationToken)
    {
        if (definition.Database is null) return;
        try
        {
            await tools.Points.SweepAsync(Of(definition), cancellationToken);
            if (!begun.TryRemove(definition.Name, out MigrationRequest? request)) return;
            await using MigrationRun run = Run(request, request.To, null, ignoreSchema: true, new Silence());
            await run.ExplainAsync(async () =>
            {
                await run.OpenAsync(cancellationToken);
                if (run.HasLearnt) await run.RegisterAsync(committed: true, cancellationToken);
                return true;
            });
        }
        catch (OperatorException e)
        {
            tools.Logger.NotSwept(definition.Name, e.Message);
        }
    }

    private async Task<string?> UndoOnceAsync(MigrationRequest request, DatabaseUser from, IProgress<string> messages, CancellationToken cancellationToken)
    {
        await using MigrationRun run = Run(request, from, request.To, ignoreSchema: false, messages);
        await run.StopCommandAsync(cancellationToken);
        if (request.RestorePoint is not null) return await tools.Points.SwapBackAsync(run.Database, request.Deployment, messages, cancellationToken);
        return await run.ExplainAsync(async () =>
        {
            await run.OpenAsync(cancellationToken);
            await run.ForgetVainCommandAsync(cancellationToken);
            // Where this was a rollback, it may have taken these back.
            IReadOnlyList<PendingFile> Again() => [.. run.Pending.Before.Where(pending => run.Source!.Files.All(file => file.Name != pending.File.Name))];
            bool Needed() => run.Guard is not Guard.Go || Again().Count > 0;
            if (!Needed() || !await run.LockAsync(Needed, cancellationToken)) return null;
            var refusals = new Refusals(tools, run, request.App, from.Version);
            await refusals.ThrowIfAnyAsync(ExitCode.NeedsOperator, cancellationToken);
            try
            {
                IReadOnlyList<string> back = await run.TakeBackAsync(cancellationToken);
                IReadOnlyList<string> again = await run.ForwardAsync(Again(), cancellationToken);
                return back.Count > 0 ? $"took back {Migration.Few(back)}" : $"ran {Migration.Few(again)} again";
            }
            catch (OperatorException e) when (e.Code != ExitCode.Unreachable)
            {
                throw new OperatorException(ExitCode.NeedsOperator, e.Message, await refusals.ChoicesAsync([.. (run.Guard as Guard.TakeBack)?.Migrations.Select(pair => pair.Row) ?? []], cancellationToken), e);
            }
        });
    }

    private MigrationRun Run(MigrationRequest request, DatabaseUser target, DatabaseUser? source, bool ignoreSchema, IProgress<string> messages) =>
        new(tools, Of(request.To.Definition), request.Deployment, target, source, ignoreSchema, messages);

    private AppDatabase Of(AppDefinition definition) => new(
        definition.Name, definition.Database!,
        DatabaseAddress.Of(definition.Database!, definition.Environment, definition.SecretsFile is { } file ? tools.Configuration.Secrets(file) : ImmutableDictionary<string, string>.Empty));

    /// <summary>Contracting files that every other host's release knows, in order, up to the first that one does not.</summary>
    private static async Task<(IReadOnlyList<PendingFile> Ready, string Waiting)> ReadyAsync(MigrationRun run, AppName app, CancellationToken cancellationToken)
    {
        var ready = new List<PendingFile>();
        foreach (PendingFile pending in run.Pending.After)
        {
            IReadOnlyList<HostRow> others = await run.OthersAsync(pending.File.Name, know: false, cancellationToken);
            if (others.Count > 0) return (ready, Waits(pending.File.Name, others, app));
            ready.Add(pending);
        }
        return (ready, "");
    }

    private static string Waits(string migration, IReadOnlyList<HostRow> others, AppName app) =>
        $"{migration} waits: {Migration.Few([.. others.Select(host => $"{host.Host} runs {host.Release}")])}; if one is gone for good: agentctl db forget {others[0].Host} --app {app}";

    private sealed class Silence : IProgress<string>
    {
        public void Report(string value)
        {
        }
    }
}
