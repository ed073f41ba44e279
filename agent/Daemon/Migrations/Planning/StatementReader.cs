namespace Agent.Daemon.Migrations.Planning;

/// <summary>
/// What one statement locks, and how it may hurt. Definitions of tables are in the part Tables, other definitions in the part Definitions, bodies of functions and DO blocks in the part Bodies.
/// </summary>
/// <remarks>
/// Sources: PostgreSQL's documentation, 13.3.1 Table-Level Locks, and the page of each command, for 15; where they are silent, AlterTableGetLockLevel in tablecmds.c. Names of kinds and
/// fields are those of parsenodes.h. Tests compare with pg_locks of a real server.
/// </remarks>
internal sealed partial class StatementReader(SqlParser parser, Catalog catalog, PlanScope scope, Findings found)
{
    private const string Separate = "in a file of its own", NoTransaction = "with '-- agentd: no-transaction' at the top of its file";

    public void Read(Syntax node)
    {
        Syntax s = node.Body;
        ReadUsedEnumValues(s);
        switch (node.Kind)
        {
            case "SelectStmt":
                found.Changes();   // a function may do anything
                ReadQuery(node);
                break;
            case "InsertStmt" or "UpdateStmt" or "DeleteStmt" or "MergeStmt":
                ReadQuery(node);
                break;
            case "CopyStmt":
                if (s["relation"].Exists) found.Lock(s["relation"].Table, s.Is("is_from") ? LockMode.RowExclusive : LockMode.AccessShare);
                if (s.Is("is_from")) ReadLongUnderLock("COPY");
                if (!s.Is("is_from") || !scope.IsNew(s["relation"].Table)) found.Changes();
                if (s.Is("is_program")) found.CannotSee("COPY runs a program on the database's host");
                ReadQuery(s["query"]);
                break;
            case "TruncateStmt":
                found.Changes();
                foreach (SqlName table in Tables(s, "relations"))
                {
                    found.Lock(table, LockMode.AccessExclusive);
                    if (HasRows(table)) found.Warn($"TRUNCATE throws all rows of {table} away, for the release that runs too", "DELETE in batches, or take a new table");
                    if (s.Text("behavior") == "DROP_CASCADE") LockReferencing(table);
                }
                break;
            case "LockStmt":
                found.Changes();
                foreach (SqlName table in Tables(s, "relations"))
                {
                    var mode = (LockMode)s.Number("mode");
                    found.Lock(table, mode);
                    if (mode >= LockMode.Share && !scope.IsNew(table))
                        found.Warn($"LOCK TABLE keeps {(mode == LockMode.AccessExclusive ? "everybody" : "writes")} away from {table} until the transaction ends", "leave it out: statements take the locks that they need");
                }
                break;
            case "DoStmt":
                found.Changes();
                ReadDo(s);
                break;
            case "CallStmt":
                found.Changes();
                ReadCalls(s);
                break;
            case "ExplainStmt" or "PrepareStmt" or "DeclareCursorStmt":
                found.Changes();
                ReadStatementInside(s["query"]);
                break;
            case "ExecuteStmt":
                found.Changes();
                found.CannotSee("EXECUTE of a prepared statement");
                break;
            case "VariableSetStmt" or "VariableShowStmt" or "TransactionStmt" or "ConstraintsSetStmt" or "NotifyStmt":
                break;
            default:
                if (!ReadDefinition(node.Kind, s) && !ReadTables(node.Kind, s))
                {
                    found.Changes();
                    found.CannotSee($"what locks {Spoken(node.Kind)} takes is not known here");
                }
                break;
        }
    }

    /// <summary>A query and whatever is in it: every table that it names, apart from those that WITH names.</summary>
    private void ReadQuery(Syntax node)
    {
        if (!node.Exists) return;
        (string Field, Syntax Node)[] everything = [.. node.Everything()];
        HashSet<string> with = [.. everything.Where(one => one.Field == "CommonTableExpr").Select(one => one.Node.Text("ctename"))];
        bool rowLocks = everything.Any(one => one.Field == "LockingClause");
        foreach ((string field, Syntax inner) in everything)
        {
            switch (field)
            {
                case "InsertStmt" or "UpdateStmt" or "DeleteStmt" or "MergeStmt":
                    ReadChange(field[..^"Stmt".Length].ToUpperInvariant(), inner);
                    break;
                case "intoClause" when inner["rel"].Exists:
                    scope.Make(inner["rel"].Table);
                    break;
            }
            if (inner.Text("relname").Length > 0 && !(inner.Text("schemaname").Length == 0 && with.Contains(inner.Text("relname"))))
            {
                found.Lock(inner.Table, rowLocks ? LockMode.RowShare : LockMode.AccessShare);
                LockSources(inner.Table);
            }
        }
        ReadCalls(node);
    }

    // Also in WITH, where it runs as well.
    private void ReadChange(string verb, Syntax s)
    {
        SqlName table = s["relation"].Table;
        found.Lock(table, LockMode.RowExclusive);
        if (!scope.IsNew(table))
        {
            found.Changes();
            foreach (string trigger in catalog.Find(table)?.Triggers ?? []) found.CannotSee($"trigger {trigger} of {table}");
        }
        bool many = verb == "MERGE" || (verb is "UPDATE" or "DELETE" && !s["whereClause"].Exists) || (verb == "INSERT" && s["selectStmt"]["SelectStmt"].Items("fromClause").Any());
        if (!many) return;
        if (verb is "UPDATE" or "DELETE" && HasRows(table))
            found.Warn($"{verb} without WHERE touches every row of {table} in one transaction: other writes to them wait until it ends", "do it in batches, outside of the deployment's way: UPDATE ... WHERE id BETWEEN ... in files of their own " + NoTransaction);
        ReadLongUnderLock(verb);
    }

    // Whoever wants the table waits for the whole transaction.
    private void ReadLongUnderLock(string verb)
    {
        foreach ((SqlName table, int line) in scope.Held)
            found.Warn($"while {verb} works through the rows, {table} stays locked for reads and writes by line {line} of the same transaction", $"put the {verb} {Separate}");
    }

    private void ReadCalls(Syntax node)
    {
        foreach ((string field, Syntax call) in node.Everything())
        {
            if (field is "FuncCall" or "funccall") ReadCall(call.Name("funcname"));
        }
    }

    // In the transaction that added it, a value of an enum must not be used: 55P04.
    private void ReadUsedEnumValues(Syntax s)
    {
        if (!scope.InTransaction) return;
        foreach ((string field, Syntax constant) in s.Everything())
        {
            if (field != "A_Const" || constant["sval"].Text("sval") is not { Length: > 0 } value || !scope.AddedEnumValueHere(value)) continue;
            found.Warn($"'{value}' was added to an enum in the same transaction, and must not be used before that ends: it fails", $"put ALTER TYPE ... ADD VALUE {Separate}");
        }
    }

    private void ReadStatementInside(Syntax node)
    {
        if (node.Kind.Length > 0) Read(node);
    }

    private static IEnumerable<SqlName> Tables(Syntax s, string field) => s.Items(field, "RangeVar").Select(table => table.Table);

    /// <summary>Nobody can be sure that it is empty.</summary>
    private bool HasRows(SqlName table) => !scope.IsNew(table) && catalog.Find(table) is not { Bytes: 0, Rows: <= 0, Kind: not 'p' };

    /// <summary>The release that runs may use it, and goes on running until the flip and after a rollback.</summary>
    private bool OldReleaseReads(SqlName table) => scope.Phase != Phase.Contract && !scope.IsNew(table);

    private void LockSources(SqlName view)
    {
        foreach (SqlName source in catalog.Find(view)?.Sources ?? []) found.Lock(source, LockMode.AccessShare);
    }

    private void LockReferencing(SqlName table)
    {
        foreach (TableFacts other in catalog.Tables.Where(other => other.Constraints.Any(constraint => constraint.Type == 'f' && constraint.Referenced.Means(table))))
            found.Lock(other.Name, LockMode.AccessExclusive);
    }

    private void LockReferenced(SqlName table)
    {
        foreach (ConstraintFacts constraint in catalog.Find(table)?.Constraints ?? [])
        {
            if (constraint.Type == 'f') found.Lock(constraint.Referenced, LockMode.AccessExclusive);
        }
    }

    // "AlterOpFamilyStmt" -> "ALTER OP FAMILY"
    private static string Spoken(string kind) =>
        string.Concat((kind.EndsWith("Stmt", StringComparison.Ordinal) ? kind[..^4] : kind).Select((c, i) => i > 0 && char.IsUpper(c) ? $" {c}" : char.ToUpperInvariant(c).ToString()));
}
