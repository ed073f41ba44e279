using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;

namespace Agent.Tests.Fakes;

/// <summary>
/// A database that loses nothing, and its migrations: version v1.N.x knows numbers 1 to N. 1 only adds, 2 changes and can be taken back, 3 changes
/// and cannot, 4 contracts after the commit point; all others only add.
/// </summary>
internal sealed class SimulatedDatabase
{
    /// <summary>Numbers of the migrations that have run.</summary>
    public SortedSet<int> Applied { get; } = [];

    /// <summary>Whether somebody holds it.</summary>
    public bool Locked { get; set; }

    /// <summary>After the death of the agent: its connection is gone.</summary>
    public SimulatedDatabase After()
    {
        var next = new SimulatedDatabase();
        next.Applied.UnionWith(Applied);
        return next;
    }

    public static IEnumerable<int> Known(string version) => Enumerable.Range(1, new ReleaseVersion(version).Text.Split('.')[1][0] - '0');

    public static bool OnlyAdds(int number) => number is not (2 or 3 or 4);

    /// <summary>Whether a release can live with it.</summary>
    public bool Fits(string version) => Applied.Except(Known(version)).All(OnlyAdds);
}

/// <summary>Migrates a <see cref="SimulatedDatabase"/>; each transaction is one effect.</summary>
internal sealed class SimulatedMigrator(SimulatedDatabase database, Fuse fuse) : IMigrator
{
    public Task<IMigration> BeginAsync(MigrationRequest request, IProgress<string> messages, CancellationToken cancellationToken)
    {
        fuse.Check();
        if (database.Locked) throw new InvalidOperationException("the lock was not let go");
        var plan = new Plan(database, fuse, request.To.Version, request.IgnoreSchema);
        if (plan.Stuck) throw new OperatorException(ExitCode.Refused, $"{request.To.Version} cannot live with the database", "choose");
        database.Locked = true;
        return Task.FromResult<IMigration>(plan);
    }

    public Task<string?> UndoAsync(MigrationRequest request, IProgress<string> messages, CancellationToken cancellationToken)
    {
        fuse.Check();
        if (request.From is not { } from) return Task.FromResult<string?>(null);
        var plan = new Plan(database, fuse, from.Version, ignoreSchema: false);
        if (plan.Stuck) throw new OperatorException(ExitCode.NeedsOperator, $"{from.Version} cannot live with the database", "choose");
        plan.Run();
        return Task.FromResult<string?>(null);
    }

    public Task<string> ContractAsync(MigrationRequest request, IProgress<string> messages, CancellationToken cancellationToken)
    {
        fuse.Burn();
        if (SimulatedDatabase.Known(request.To.Version).Contains(4)) database.Applied.Add(4);
        return Task.FromResult("done");
    }

    public void RemoveLeftovers(AppName app, DatabaseOptions database) { }

    public Task SweepAsync(AppDefinition definition, CancellationToken cancellationToken) => Task.CompletedTask;

    private sealed class Plan : IMigration
    {
        private readonly SimulatedDatabase database;
        private readonly Fuse fuse;
        private readonly List<int> up, down;

        public Plan(SimulatedDatabase database, Fuse fuse, string version, bool ignoreSchema)
        {
            (this.database, this.fuse) = (database, fuse);
            SortedSet<int> applied = database.Applied;
            int[] known = [.. SimulatedDatabase.Known(version)];
            up = [.. known.Except(applied).Where(number => number != 4)];
            down = ignoreSchema ? [] : [.. applied.Except(known).Where(number => !SimulatedDatabase.OnlyAdds(number)).Reverse()];
            Contract = known.Contains(4) && !applied.Contains(4);
        }

        public bool Stuck => down.Exists(number => number != 2);

        public bool Pending => up.Count + down.Count > 0;

        public bool MayStay => down.Count == 0 && up.TrueForAll(SimulatedDatabase.OnlyAdds);

        public bool Contract { get; }

        public Task<string?> BackUpAsync(IProgress<string> messages, CancellationToken cancellationToken)
        {
            fuse.Burn();
            return Task.FromResult<string?>("restore point");
        }

        public Task<string> MigrateAsync(IProgress<string> messages, CancellationToken cancellationToken)
        {
            Run();
            return Task.FromResult($"{up.Count} up, {down.Count} down");
        }

        public ValueTask DisposeAsync()
        {
            database.Locked = false;
            return ValueTask.CompletedTask;
        }

        public void Run()
        {
            foreach (int number in down)
            {
                fuse.Burn();
                database.Applied.Remove(number);
            }
            foreach (int number in up)
            {
                fuse.Burn();
                database.Applied.Add(number);
            }
        }
    }
}
