using Agent.Daemon.Migrations;
using Agent.Daemon.Migrations.Planning;

namespace Agent.Tests.Migrations.Planning;

/// <summary>Plans of text; the parser is the one of this machine.</summary>
internal static class Planned
{
    public static readonly SqlParser Parser = SqlParser.Load() ?? throw new InvalidOperationException("apt-get install libpg-query1504.0");

    public static readonly MigrationPlanner Planner = new(Parser);

    public static FileToPlan File(string name, string sql, Phase phase = Phase.Unknown, bool inTransaction = true) =>
        new(new MigrationFile(name, name.Split('_')[0], "/" + name, "", phase, inTransaction, null, null, "", null), phase,
            [.. sql.Split(";\n", StringSplitOptions.RemoveEmptyEntries).Select((text, i) => new SqlStatement(text.Trim(), i + 1))]);

    /// <summary>The statements of one file, parted by a semicolon at the end of a line.</summary>
    public static IReadOnlyList<StatementPlan> Of(string sql, Catalog? catalog = null, string phase = "Unknown", bool inTransaction = true) =>
        Planner.Plan([File("1_x.sql", sql, Enum.Parse<Phase>(phase), inTransaction)], catalog ?? Catalog.Unknown, TestContext.Current.CancellationToken)[0].Statements;

    public static IEnumerable<string> Warnings(string sql, Catalog? catalog = null, string phase = "Unknown", bool inTransaction = true) =>
        Of(sql, catalog, phase, inTransaction).SelectMany(statement => statement.Traps).Select(trap => trap.What);
}
