using Agent.Artifacts;

namespace Agent.Daemon.Migrations;

/// <summary>What a migration does to a release that does not know it.</summary>
internal enum Phase
{
    /// <summary>It only adds: the release before does not notice. Runs before the flip.</summary>
    Expand,

    /// <summary>It takes away or changes: no release that does not know it may run any more. Runs after the commit point.</summary>
    Contract,

    /// <summary>Nobody said. Runs before the flip; no release that does not know it may come back by itself.</summary>
    Unknown,
}

/// <summary>An SQL file of a release, read and checked; nothing was run.</summary>
/// <param name="Name">The file's: <c>0003_add_orders.sql</c>. Its identity in the ledger.</param>
/// <param name="Version">What stands before the first <c>_</c>: digits, by whose number files are ordered.</param>
/// <param name="Path">Absolute.</param>
/// <param name="Checksum">SHA-256 of its bytes, 64 hexadecimal digits.</param>
/// <param name="Phase">As its header says.</param>
/// <param name="InTransaction">All statements and the ledger's row in one; false: statement by statement.</param>
/// <param name="LockTimeout">Of its header; null: the operator's.</param>
/// <param name="StatementTimeout">Of its header; null: the operator's.</param>
/// <param name="Reason">Of its header, for whoever reads a plan; empty: none.</param>
/// <param name="Down">Absolute path of its <c>.down.sql</c>; null: none.</param>
internal sealed record MigrationFile(
    string Name, string Version, string Path, string Checksum, Phase Phase, bool InTransaction,
    TimeSpan? LockTimeout, TimeSpan? StatementTimeout, string Reason, string? Down);

/// <summary>One statement of a file.</summary>
/// <param name="Text">As it is sent: without comments before it, and without the <c>;</c>.</param>
/// <param name="Line">Of its first word, from 1.</param>
/// <param name="CopyData">Data lines after COPY ... FROM stdin, each ended by a line feed, without the <c>\.</c>; null: it is no such statement.</param>
internal sealed record SqlStatement(string Text, int Line, string? CopyData = null);

/// <summary>A row of the ledger, <c>agentd.migration</c> in the app's database.</summary>
/// <param name="Name">Of the file; for a release's own command <c>command VERSION</c>.</param>
/// <param name="Checksum">Of the file; of the files that a command runs, all together; empty where it names none.</param>
/// <param name="Release">Version that brought it.</param>
/// <param name="CompatibleWith">The oldest version that can live with what a command did; null: not known.</param>
/// <param name="Finished">Null: it was cut, and can only be one that runs statement by statement.</param>
/// <param name="Statements">Statements that are done.</param>
internal sealed record LedgerRow(
    string Name, string Checksum, Phase Phase, string Release, string? CompatibleWith, string Host, string Deployment,
    DateTimeOffset Started, DateTimeOffset? Finished, int Statements);
