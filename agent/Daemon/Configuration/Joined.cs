using Agent.Artifacts;
using Agent.Daemon.State;

namespace Agent.Daemon.Configuration;

/// <summary>The release's file under the operator's.</summary>
/// <param name="OperatorsPath">Of the operator's file, for messages.</param>
/// <param name="SecretsFile">That the app has: named by the operator, or found at its usual place; null: none.</param>
internal sealed record Joined(AppFile Operators, AppFile? Releases, string OperatorsPath, string? SecretsFile)
{
    public string? User => Operators.User ?? Releases?.User;

    /// <summary>Which of the two says what to run; null: neither.</summary>
    public AppFile? Runs => Operators.Units is not null ? Operators : Releases?.Units is not null ? Releases : null;

    public IReadOnlyList<UnitSource> Units => [.. (Runs?.Units ?? []).Select(unit => unit is UnitSource.Rendered rendered ? WithOperators(rendered) : unit)];

    public IReadOnlyDictionary<string, string> Environment
    {
        get
        {
            var environment = new Dictionary<string, string>(Releases?.Environment ?? Operators.Environment, StringComparer.Ordinal);
            foreach ((string name, string value) in Operators.Environment) environment[name] = value;
            return environment;
        }
    }

    public GateOptions Gate => new(
        Operators.GateStart ?? Releases?.GateStart ?? AppFile.DefaultGate.Start,
        Operators.GateStable ?? Releases?.GateStable ?? AppFile.DefaultGate.Stable);

    public IReadOnlyList<CheckOptions> Checks => Operators.Checks ?? Releases?.Checks ?? [];

    public IReadOnlyList<string> SharedDirectories => [.. (Releases?.SharedDirectories ?? []).Union(Operators.SharedDirectories)];

    public IReadOnlyList<string> SharedFiles => [.. (Releases?.SharedFiles ?? []).Union(Operators.SharedFiles)];

    /// <summary>Null: none, or the operator wants none.</summary>
    public MigrationOptions? Migrations => (Operators.Migrations ?? Releases?.Migrations) is { } migrations && migrations != DatabaseFile.NoMigrations ? migrations : null;

    /// <summary>The operator's user is for all that the release brings.</summary>
    public IReadOnlyList<HookOptions> Hooks => HookFile.Join((Releases?.Hooks ?? []).Select(hook => hook with { User = Operators.User ?? hook.User }), Operators.Hooks);

    /// <exception cref="OperatorException">The two do not fit together, or neither says what to run (<see cref="ExitCode.Refused"/>).</exception>
    public AppDefinition Define()
    {
        AppName app = Operators.Name;
        IReadOnlyList<UnitSource> units = Units;
        if (units.Count == 0)
        {
            throw new OperatorException(ExitCode.Refused, $"nothing says what to run for {app}: neither its agent.yaml nor apps.d/{app}.yaml has command, processes or units",
                $"write 'command: bin/{app}' into agent.yaml of the release or into {OperatorsPath}");
        }
        var problems = new Problems();
        FindProblems(problems);
        problems.ThrowIfAny(ExitCode.Refused, $"correct {OperatorsPath}, or agent.yaml and publish the release under a new version");
        return new AppDefinition(app, Environment, units, Checks, Gate)
        {
            User = User,
            SecretsFile = SecretsFile,
            Credentials = Operators.Credentials.Count == 0 ? null : Operators.Credentials.ToDictionary(pair => pair.Key, pair => pair.Value.Path),
            SharedDirectories = OrNull(SharedDirectories),
            SharedFiles = OrNull(SharedFiles),
            Templates = OrNull(Releases?.Templates ?? []),
            Hooks = OrNull(Hooks),
            Watch = Operators.Watch,
            Database = Operators.Database,
            Migrations = Migrations,
        };
    }

    // Only what neither file shows by itself.
    private void FindProblems(Problems problems)
    {
        if (Operators.Units is null && Operators.Settings != ProcessSettings.None && !Units.Any(unit => unit.Name == UnitsReader.CommandUnit(Operators.Name) && unit is UnitSource.Rendered))
            problems.Add(OperatorsPath, 0, "limits or other settings for 'command' stand here, but the release has processes or units instead", "write the processes here, with their settings");
        if (User is null && Operators.Name.Value.Length > Names.MaximumUser && NeedsUser)
            problems.Add(OperatorsPath, 0, $"{Operators.Name} is too long to be a user's name", "write 'user: NAME'");
        if (Operators.Deadlines.TryGetValue(Step.Gate, out TimeSpan limit) && limit < Gate.Start + Gate.Stable)
            problems.Add(OperatorsPath, 0, $"deadlines.gate is {Values.Show(limit)}, less than gate.start and gate.stable together", $"write {Values.Show(Gate.Start + Gate.Stable)} or more");
        if (Migrations is not null && Operators.Database is null)
        {
            problems.Add(OperatorsPath, 0, "the release has migrations, but no database is named",
                $"write 'database: {DatabaseFile.DefaultUrl}', the name of the secret that holds the address, or 'migrations: none' to leave them to others");
        }
        string[] shared = [.. SharedDirectories, .. SharedFiles];
        string file = Releases is null ? OperatorsPath : AppFile.OfRelease;
        foreach ((int index, string path) in shared.Index())
        {
            int other = Array.FindIndex(shared, candidate => Names.IsAtOrBelow(path, candidate));
            if (other != index) problems.Add(file, 0, $"shared {path} is {shared[other]} once more, or lies in it", "keep the outer one");
        }
        foreach (string template in Releases?.Templates ?? [])
        {
            string target = template[..template.LastIndexOf('.')];
            if (Array.Find(shared, path => Names.IsAtOrBelow(target, path)) is { } at)
                problems.Add(AppFile.OfRelease, 0, $"templates: {template} is filled as {target}, which is shared as {at}", "keep one of the two: what is filled belongs to one release");
        }
    }

    private bool NeedsUser => Units.Any(unit => unit is UnitSource.Rendered { User: null }) || Hooks.Any(hook => hook.User is null) || Checks.Any(check => check is CheckOptions.Command) || Migrations?.Command is not null;

    private UnitSource.Rendered WithOperators(UnitSource.Rendered unit)
    {
        if (Runs == Operators) return unit with { User = unit.User ?? User };
        UnitSource.Rendered set = unit.Name == UnitsReader.CommandUnit(Operators.Name) ? Operators.Settings.Apply(unit) : unit;
        return set with { User = Operators.User ?? unit.User ?? User };
    }

    private static IReadOnlyList<string>? OrNull(IReadOnlyList<string> list) => list.Count == 0 ? null : list;

    private static IReadOnlyList<HookOptions>? OrNull(IReadOnlyList<HookOptions> list) => list.Count == 0 ? null : list;
}
