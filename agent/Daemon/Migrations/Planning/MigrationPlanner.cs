using System.Text.RegularExpressions;

namespace Agent.Daemon.Migrations.Planning;

/// <summary>A file that is to be planned.</summary>
/// <param name="Phase">Of its header, or found out.</param>
internal sealed record FileToPlan(MigrationFile File, Phase Phase, IReadOnlyList<SqlStatement> Statements);

/// <summary>What a file will do; <paramref name="File"/> as it was given.</summary>
internal sealed record FilePlan(FileToPlan File, IReadOnlyList<StatementPlan> Statements);

/// <summary>Says what SQL files will do, before they do it.</summary>
/// <param name="parser">Null: there is none on this host; then statements are listed, and not looked into.</param>
internal sealed partial class MigrationPlanner(SqlParser? parser)
{
    private const int LongestSummary = 200;

    /// <summary>Whether statements are looked into.</summary>
    public bool LooksInside => parser is not null;

    /// <param name="files">In the order in which they run: a table that one makes is no trap for those after it.</param>
    public IReadOnlyList<FilePlan> Plan(IEnumerable<FileToPlan> files, Catalog catalog, CancellationToken cancellationToken)
    {
        var scope = new PlanScope();
        var plans = new List<FilePlan>();
        foreach (FileToPlan file in files)
        {
            scope.BeginFile(file.Phase, file.File.InTransaction);
            var statements = new List<StatementPlan>();
            foreach (SqlStatement statement in file.Statements)
            {
                cancellationToken.ThrowIfCancellationRequested();
                Findings found = Read(statement.Text, statement.Line, catalog, scope);
                statements.Add(new StatementPlan(statement.Line, Summary(statement.Text), found.Locks, found.Traps, found.Unseen));
            }
            plans.Add(new FilePlan(file, statements));
        }
        return plans;
    }

    /// <summary>Whether every statement of a file only adds, so that the release before does not notice; null: that cannot be told without looking further.</summary>
    public bool? OnlyAdds(string sql)
    {
        if (parser is null) return null;
        var scope = new PlanScope();
        scope.BeginFile(Phase.Unknown, inTransaction: true);
        Findings found = Read(sql, 1, Catalog.Unknown, scope);
        if (!found.OnlyAdds) return false;
        return found.Unseen.Length == 0 ? true : null;
    }

    private Findings Read(string sql, int line, Catalog catalog, PlanScope scope)
    {
        var found = new Findings(catalog, scope);
        scope.BeginStatement(line);
        if (parser is null) return found;
        try
        {
            foreach (Syntax statement in parser.Parse(sql)) new StatementReader(parser, catalog, scope, found).Read(statement);
        }
        catch (UnreadableSqlException e)
        {
            found.CannotSee(e.Message);
        }
        scope.EndStatement(found.Locks);
        return found;
    }

    /// <summary>In one line, without a password that it may set.</summary>
    private static string Summary(string sql)
    {
        string head = sql.Length > 4000 ? sql[..4000] : sql;
        string line = Password().Replace(Space().Replace(head, " "), "PASSWORD '...'");
        return line.Length > LongestSummary ? line[..(LongestSummary - 1)] + "…" : line;
    }

    [GeneratedRegex(@"\s+")]
    private static partial Regex Space();

    [GeneratedRegex(@"\bpassword\s*=?\s*[EeUu&]*('([^']|'')*('|$)|\$\S*)", RegexOptions.IgnoreCase | RegexOptions.NonBacktracking)]
    private static partial Regex Password();
}
