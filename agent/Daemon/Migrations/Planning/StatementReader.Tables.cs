namespace Agent.Daemon.Migrations.Planning;

/// <summary>CREATE TABLE and ALTER TABLE.</summary>
internal sealed partial class StatementReader
{
    // AlterTableGetRelOptionsLockLevel: storage parameters that only upkeep heeds.
    private static readonly string[] QuietOptions = ["fillfactor", "toast_tuple_target", "parallel_workers", "vacuum_index_cleanup", "vacuum_truncate", "n_distinct", "deduplicate_items", "log_autovacuum_min_duration"];

    private bool ReadTables(string kind, Syntax s)
    {
        switch (kind)
        {
            case "CreateStmt":
                ReadCreateTable(s);
                return true;
            case "CreateTableAsStmt":
                ReadQuery(s["query"]);
                scope.Make(s["into"]["rel"].Table);
                return true;
            case "AlterTableStmt":
                ReadAlterTable(s);
                return true;
            case "AlterTableMoveAllStmt":
                found.Changes();
                found.CannotSee("which tables lie in the tablespace: each is copied while reads and writes wait");
                return true;
            default:
                return false;
        }
    }

    private void ReadCreateTable(Syntax s)
    {
        SqlName table = s["relation"].Table;
        scope.Make(table);
        LockMode parent = s["partbound"].Exists ? LockMode.AccessExclusive : LockMode.ShareUpdateExclusive;
        foreach (SqlName from in Tables(s, "inhRelations"))
        {
            found.Lock(from, parent);
            if (s["partbound"].Exists && !scope.IsNew(from))
            {
                found.Warn($"reads and writes of {from} wait behind PARTITION OF, which waits for those under way", $"CREATE TABLE {table} (LIKE {from} INCLUDING ALL), then ALTER TABLE {from} ATTACH PARTITION {table}");
                found.Changes();
            }
        }
        foreach ((string field, Syntax node) in s.Everything())
        {
            if (field == "pktable" && !node.Table.Means(table)) found.Lock(node.Table, LockMode.ShareRowExclusive);
            if (field == "TableLikeClause") found.Lock(node["relation"].Table, LockMode.AccessShare);
        }
    }

    private void ReadAlterTable(Syntax s)
    {
        SqlName table = s["relation"].Table;
        string type = s.Text("objtype");
        if (type == "OBJECT_TYPE")
        {
            found.Changes();
            found.CannotSee($"which tables have columns of type {table}");
            return;
        }
        foreach (Syntax command in s.Items("cmds", "AlterTableCmd"))
        {
            string what = command.Text("subtype");
            LockMode mode = LockOf(command, what);
            found.Lock(table, mode);   // of an index, it is that alone
            if (what != "AT_AddColumn" && !scope.IsNew(table)) found.Changes();
            ReadAlteration(table, command, what);
        }
    }

    /// <remarks>Source: ALTER TABLE's page and AlterTableGetLockLevel.</remarks>
    private static LockMode LockOf(Syntax command, string what) => what switch
    {
        "AT_SetStatistics" or "AT_SetOptions" or "AT_ResetOptions" or "AT_ClusterOn" or "AT_DropCluster" or "AT_ValidateConstraint" or "AT_AttachPartition" or "AT_DetachPartitionFinalize" => LockMode.ShareUpdateExclusive,
        "AT_EnableTrig" or "AT_EnableAlwaysTrig" or "AT_EnableReplicaTrig" or "AT_EnableTrigAll" or "AT_EnableTrigUser" or "AT_DisableTrig" or "AT_DisableTrigAll" or "AT_DisableTrigUser" => LockMode.ShareRowExclusive,
        "AT_AddConstraint" when command["def"]["Constraint"].Text("contype") == "CONSTR_FOREIGN" => LockMode.ShareRowExclusive,
        "AT_DetachPartition" when command["def"]["PartitionCmd"].Is("concurrent") => LockMode.ShareUpdateExclusive,
        "AT_SetRelOptions" or "AT_ResetRelOptions" when command["def"]["List"].Items("items", "DefElem").Select(option => option.Text("defname"))
            .All(name => name.StartsWith("autovacuum", StringComparison.Ordinal) || QuietOptions.Contains(name)) => LockMode.ShareUpdateExclusive,
        _ => LockMode.AccessExclusive,
    };

    private void ReadAlteration(SqlName table, Syntax command, string what)
    {
        string column = command.Text("name");
        switch (what)
        {
            case "AT_AddColumn":
                ReadAddColumn(table, command["def"]["ColumnDef"]);
                break;
            case "AT_DropColumn":
                if (OldReleaseReads(table)) found.Warn($"the release that runs still reads {table}.{column}", Later);
                break;
            case "AT_AlterColumnType":
                ReadColumnType(table, column, command["def"]["ColumnDef"]);
                break;
            case "AT_SetNotNull":
                ReadNotNull(table, column);
                break;
            case "AT_AddConstraint":
                ReadAddConstraint(table, command["def"]["Constraint"]);
                break;
            case "AT_ValidateConstraint":
                ReadValidate(table, column);
                break;
            case "AT_DropConstraint":
                if (catalog.Find(table)?.Constraints.FirstOrDefault(constraint => constraint.Name == column) is { Type: 'f' } key) found.Lock(key.Referenced, LockMode.AccessExclusive);
                break;
            case "AT_SetLogged" or "AT_SetUnLogged" or "AT_SetTableSpace" or "AT_SetAccessMethod":
                Rewrite(table, $"SET {what["AT_Set".Length..].ToUpperInvariant()}", "a new table beside it, filled in batches; or leave it out");
                break;
            case "AT_DisableTrig" or "AT_DisableTrigAll" or "AT_DisableTrigUser":
                if (!scope.IsNew(table)) found.Warn($"what the triggers of {table} check or keep up is neither, for the release that runs too{(what == "AT_DisableTrigUser" ? "" : "; foreign keys are triggers")}", "SET LOCAL session_replication_role, for this transaction alone; or leave them on");
                break;
            case "AT_AttachPartition" or "AT_DetachPartition":
                ReadPartition(table, command["def"]["PartitionCmd"], what);
                break;
            case "AT_AddInherit" or "AT_DropInherit":
                found.Lock(command["def"]["RangeVar"].Table, LockMode.ShareUpdateExclusive);
                break;
            case "AT_EnableRowSecurity" or "AT_ForceRowSecurity":
                if (OldReleaseReads(table)) found.Warn($"the release that runs sees only rows of {table} that a policy lets it see", "CREATE POLICY first, in a file before");
                break;
        }
    }

    private void ReadAddColumn(SqlName table, Syntax column)
    {
        string name = $"{table}.{column.Text("colname")}";
        Syntax[] constraints = [.. column.Items("constraints", "Constraint")];
        Syntax Constraint(string type) => constraints.FirstOrDefault(one => one.Text("contype") == type);
        Syntax value = Constraint("CONSTR_DEFAULT")["raw_expr"];
        bool counts = ColumnTypes.IsSerial(column["typeName"]) || Constraint("CONSTR_IDENTITY").Exists, generated = Constraint("CONSTR_GENERATED").Exists;
        bool notNull = Constraint("CONSTR_NOTNULL").Exists || Constraint("CONSTR_PRIMARY").Exists;
        string? changing = value.Exists ? ChangingCall(value) : null;
        if (HasRows(table))
        {
            const string InSteps = "add it without, set the default in a second statement, and fill old rows in batches";
            if (counts) found.Warn($"every row of {table} is written anew to number {name}, while reads and writes wait", InSteps);
            else if (generated) found.Warn($"every row of {table} is written anew to compute {name}, while reads and writes wait", "a plain column, kept up by a trigger and filled in batches; or an index on the expression");
            else if (changing is not null) found.Warn($"{changing}() gives another value for each row, so {table} is written anew while reads and writes wait", InSteps);
            else if (notNull && !value.Exists) found.Warn($"{name} is NOT NULL and has no default: it fails where {table} has rows", "give it a default, or add it nullable");
        }
        if (!scope.IsNew(table) && (counts || generated || (value.Exists && !IsConstant(value)) || (notNull && !value.Exists))) found.Changes();
        foreach (Syntax constraint in constraints)
        {
            switch (constraint.Text("contype"))
            {
                case "CONSTR_FOREIGN":
                    found.Lock(constraint["pktable"].Table, LockMode.ShareRowExclusive);
                    if (value.Exists) ReadAddConstraint(table, constraint);   // of nulls alone, nothing is looked up
                    break;
                case "CONSTR_CHECK" or "CONSTR_UNIQUE" or "CONSTR_PRIMARY":
                    ReadAddConstraint(table, constraint);
                    if (!scope.IsNew(table)) found.Changes();
                    break;
            }
        }
    }

    private void ReadColumnType(SqlName table, string column, Syntax definition)
    {
        string to = ColumnTypes.Of(definition["typeName"]);
        string? from = catalog.Find(table)?.Columns.FirstOrDefault(one => one.Name == column)?.Type;
        bool keeps = from is not null && !definition["raw_default"].Exists && ColumnTypes.KeepsRows(from, to);
        if (keeps) return;
        if (HasRows(table))
        {
            string what = from is null ? $"the type of {table}.{column} changes: unless its rows fit as they are" : $"{table}.{column} changes from {from} to {to}:";
            found.Warn($"{what} {table} and its indexes are written anew while reads and writes wait", "a new column of the new type, kept up by a trigger and filled in batches; " + Later);
        }
        if (OldReleaseReads(table)) found.Warn($"the release that runs knows {table}.{column} as {from ?? "it was"}", NewName);
    }

    private void ReadNotNull(SqlName table, string column)
    {
        if (!HasRows(table)) return;
        string wanted = $"CHECK (({(column.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '_') ? column : $"\"{column}\"")} IS NOT NULL))";
        if (catalog.Find(table)?.Constraints.Any(constraint => constraint is { Type: 'c', Valid: true } && constraint.Definition == wanted) == true) return;
        found.Warn($"all rows of {table} are read to see that {column} is never null, while reads and writes wait",
            $"ADD CONSTRAINT ... CHECK ({column} IS NOT NULL) NOT VALID, VALIDATE CONSTRAINT {Separate}, then SET NOT NULL, which looks at that alone");
        ReadLongUnderLock("SET NOT NULL");
    }

    private void ReadAddConstraint(SqlName table, Syntax constraint)
    {
        string name = constraint.Text("conname") is { Length: > 0 } given ? given : "the constraint";
        bool notValid = constraint.Is("skip_validation");
        if (notValid) scope.AddNotValid(table, name);
        switch (constraint.Text("contype"))
        {
            case "CONSTR_FOREIGN":
                SqlName other = constraint["pktable"].Table;
                found.Lock(other, LockMode.ShareRowExclusive);
                if (!notValid && HasRows(table))
                    found.Warn($"writes to {table} and {other} wait until each row of {table} is looked up", $"ADD CONSTRAINT ... NOT VALID, then VALIDATE CONSTRAINT {Separate}");
                break;
            case "CONSTR_CHECK":
                if (!notValid && HasRows(table))
                    found.Warn($"all rows of {table} are checked while reads and writes wait", $"ADD CONSTRAINT ... NOT VALID, then VALIDATE CONSTRAINT {Separate}");
                break;
            case "CONSTR_UNIQUE" or "CONSTR_PRIMARY":
                if (constraint.Text("indexname").Length == 0 && HasRows(table))
                    found.Warn($"the index of {name} is built while reads and writes of {table} wait", $"CREATE UNIQUE INDEX CONCURRENTLY, {NoTransaction}; then ADD CONSTRAINT ... USING INDEX");
                break;
            case "CONSTR_EXCLUSION":
                if (HasRows(table)) found.Warn($"the index of {name} is built while reads and writes of {table} wait", "a quiet hour: PostgreSQL has no other way to an exclusion constraint");
                break;
        }
    }

    private void ReadValidate(SqlName table, string constraint)
    {
        ConstraintFacts? facts = catalog.Find(table)?.Constraints.FirstOrDefault(one => one.Name == constraint);
        if (facts is { Type: 'f' }) found.Lock(facts.Referenced, LockMode.RowShare);
        if (HasRows(table) && scope.AddedNotValidHere(table, constraint))
            found.Warn($"the lock that adding {constraint} took is held while all rows are checked: NOT VALID gained nothing", $"put VALIDATE CONSTRAINT {Separate}");
    }

    private void ReadPartition(SqlName table, Syntax partition, string what)
    {
        SqlName part = partition["name"].Table;
        found.Lock(part, LockMode.AccessExclusive);
        if (what == "AT_AttachPartition")
        {
            if (HasRows(part)) found.Warn($"unless a valid CHECK constraint says it, all rows of {part} are read to see that they belong there, while reads and writes of it wait", "ADD CONSTRAINT ... CHECK of the bounds NOT VALID, and VALIDATE it, in files before");
        }
        else if (!partition.Is("concurrent") && !scope.IsNew(table))
        {
            found.Warn($"reads and writes of {table} wait behind DETACH PARTITION, which waits for those under way", $"DETACH PARTITION ... CONCURRENTLY, {NoTransaction}");
        }
    }

    /// <summary>The first call in a default that gives every row another value; null: none does.</summary>
    private string? ChangingCall(Syntax value) => value.Everything().Where(one => one.Field == "FuncCall").Select(one => one.Node.Name("funcname")).Where(IsVolatile).Select(name => (string?)name.Name).FirstOrDefault();

    private bool IsVolatile(SqlName function)
    {
        if (scope.TryFunction(function, out Syntax definition)) return definition.Option("options", "volatility")["arg"]["String"].Text("sval") is "" or "volatile";
        if (!catalog.IsKnown) return function.Name is not ("now" or "statement_timestamp" or "transaction_timestamp" or "current_setting" or "lower" or "upper" or "md5" or "to_char" or "date_trunc" or "timezone" or "jsonb_build_object" or "json_build_object");
        return catalog.Named(function).Any(facts => facts.Volatile) || (function.Schema is "" or "pg_catalog" && catalog.VolatileBuiltins.Contains(function.Name));
    }

    // A literal, also with a cast, a sign, or in ARRAY[]; and the time of the statement.
    private static bool IsConstant(Syntax value) =>
        value.Everything().All(one => one.Field is not ("FuncCall" or "SubLink" or "ColumnRef"));
}
