namespace Agent.Daemon.Migrations.Planning;

/// <summary>CREATE, DROP, RENAME and their like, apart from ALTER TABLE; upkeep.</summary>
internal sealed partial class StatementReader
{
    private const string NewName = "add the new one beside it, let a release use both, and take the old one away in a file of phase contract";
    private const string Later = "stop using it in one release, and take it away in a file of phase contract in the next";

    /// <returns>False: the kind is not known here.</returns>
    private bool ReadDefinition(string kind, Syntax s)
    {
        switch (kind)
        {
            case "CreateSchemaStmt":
                foreach (Syntax element in s.Items("schemaElts")) Read(element);
                return true;
            case "CreateExtensionStmt":
                found.CannotSee($"the script of extension {s.Text("extname")}");
                return true;
            case "CreateEnumStmt" or "CreateRangeStmt":
                scope.MakeType(s.Name("typeName"));
                return true;
            case "CompositeTypeStmt":
                scope.MakeType(s["typevar"].Table);
                return true;
            case "CreateDomainStmt":
                scope.MakeType(s.Name("domainname"));
                return true;
            case "DefineStmt":
                if (s.Is("replace")) found.Changes();
                return true;
            case "CreateSeqStmt":
                scope.Make(s["sequence"].Table);
                return true;
            case "CreateFunctionStmt":
                if (s.Is("replace")) found.Changes();
                scope.Make(s.Name("funcname"), s);
                return true;
            case "ViewStmt":
                ReadQuery(s["query"]);
                if (s.Is("replace"))
                {
                    found.Changes();
                    found.Lock(s["view"].Table, LockMode.AccessExclusive);
                }
                scope.Make(s["view"].Table);
                return true;
            case "IndexStmt":
                ReadCreateIndex(s);
                return true;
            case "CreateTrigStmt":
                found.Changes();
                found.Lock(s["relation"].Table, LockMode.ShareRowExclusive);
                if (s["constrrel"].Exists) found.Lock(s["constrrel"].Table, LockMode.ShareRowExclusive);
                return true;
            case "RuleStmt":
                found.Changes();
                found.Lock(s["relation"].Table, LockMode.AccessExclusive);
                return true;
            case "CreatePolicyStmt" or "AlterPolicyStmt":
                found.Changes();
                found.Lock(s["table"].Table, LockMode.AccessExclusive);
                return true;
            case "CreateStatsStmt":
                foreach (SqlName table in Tables(s, "relations")) found.Lock(table, LockMode.ShareUpdateExclusive);
                return true;
            case "CommentStmt":
                ReadComment(s);
                return true;
            case "GrantStmt":
                if (!s.Is("is_grant")) found.Changes();
                return true;
            case "GrantRoleStmt" or "AlterDefaultPrivilegesStmt" or "CreateRoleStmt" or "AlterRoleStmt" or "AlterRoleSetStmt" or "AlterDatabaseSetStmt" or "AlterFunctionStmt" or "AlterStatsStmt":
                found.Changes();
                return true;
            case "DropStmt":
                found.Changes();
                ReadDrop(s);
                return true;
            case "RenameStmt":
                found.Changes();
                ReadRename(s);
                return true;
            case "AlterObjectSchemaStmt":
                found.Changes();
                if (!s["relation"].Exists) return true;
                found.Lock(s["relation"].Table, LockMode.AccessExclusive);
                if (OldReleaseReads(s["relation"].Table)) found.Warn($"the release that runs looks for {s["relation"].Table} where it is now", NewName);
                return true;
            case "AlterEnumStmt":
                ReadAlterEnum(s);
                return true;
            case "AlterSeqStmt":
                found.Changes();
                found.Lock(s["sequence"].Table, LockMode.ShareRowExclusive);
                return true;
            case "AlterDomainStmt":
                found.Changes();
                if (s.Text("subtype") is "C" or "O" or "V") found.CannotSee($"which tables have columns of domain {s.Name("typeName")}: each is scanned");
                return true;
            case "VacuumStmt":
                found.Changes();
                ReadVacuum(s);
                return true;
            case "ClusterStmt":
                found.Changes();
                if (!s["relation"].Exists) found.CannotSee("which tables CLUSTER rewrites: all that were clustered before");
                else Rewrite(s["relation"].Table, "CLUSTER", "pg_repack, which rewrites beside the table; or leave it out");
                return true;
            case "ReindexStmt":
                found.Changes();
                ReadReindex(s);
                return true;
            case "RefreshMatViewStmt":
                found.Changes();
                SqlName view = s["relation"].Table;
                found.Lock(view, s.Is("concurrent") ? LockMode.Exclusive : LockMode.AccessExclusive);
                LockSources(view);
                if (!s.Is("concurrent") && HasRows(view))
                    found.Warn($"reads of {view} wait until it is filled again", "REFRESH MATERIALIZED VIEW CONCURRENTLY, which takes a unique index on it");
                return true;
            default:
                return false;
        }
    }

    private void ReadCreateIndex(Syntax s)
    {
        SqlName table = s["relation"].Table;
        bool concurrently = s.Is("concurrent");
        found.Lock(table, concurrently ? LockMode.ShareUpdateExclusive : LockMode.Share);
        if (s.Text("idxname") is { Length: > 0 } name) scope.MakeIndex(new SqlName(table.Schema, name), table);
        ReadCalls(s);
        if (s.Is("unique") && !scope.IsNew(table)) found.Changes();   // the release that runs may write what is there twice
        if (!concurrently && HasRows(table))
        {
            bool partitioned = catalog.Find(table)?.Kind == 'p';
            found.Warn($"writes to {table} wait until the index is built", partitioned
                ? $"CREATE INDEX ON ONLY {table}, then CREATE INDEX CONCURRENTLY on each partition and ALTER INDEX ... ATTACH PARTITION"
                : $"CREATE INDEX CONCURRENTLY, {NoTransaction}");
            ReadLongUnderLock("CREATE INDEX");
        }
    }

    private void ReadComment(Syntax s)
    {
        IReadOnlyList<string> words = s["object"]["List"].Words("items");
        switch (s.Text("objtype"))
        {
            case "OBJECT_TABLE" or "OBJECT_VIEW" or "OBJECT_MATVIEW" or "OBJECT_SEQUENCE" or "OBJECT_FOREIGN_TABLE":
                found.Lock(Syntax.Named(words), LockMode.ShareUpdateExclusive);
                break;
            case "OBJECT_COLUMN" or "OBJECT_TABCONSTRAINT" or "OBJECT_TRIGGER" or "OBJECT_RULE" or "OBJECT_POLICY":
                found.Lock(Syntax.Named([.. words.SkipLast(1)]), LockMode.ShareUpdateExclusive);
                break;
        }
    }

    private void ReadDrop(Syntax s)
    {
        string type = s.Text("removeType");
        bool cascade = s.Text("behavior") == "DROP_CASCADE";
        foreach (Syntax item in s.Items("objects"))
        {
            IReadOnlyList<string> words = item["List"].Words("items");
            SqlName name = Syntax.Named(words);
            switch (type)
            {
                case "OBJECT_TABLE" or "OBJECT_VIEW" or "OBJECT_MATVIEW" or "OBJECT_SEQUENCE" or "OBJECT_FOREIGN_TABLE":
                    found.Lock(name, LockMode.AccessExclusive);
                    LockReferenced(name);
                    if (cascade) LockReferencing(name);
                    if (OldReleaseReads(name)) found.Warn($"the release that runs still uses {name}", Later);
                    break;
                case "OBJECT_INDEX":
                    bool concurrently = s.Is("concurrent");
                    if (catalog.TableOfIndex(name) is not { } table) table = scope.TableOfIndex(name) ?? default;
                    if (table.Name is null) found.CannotSee($"which table index {name} is of");
                    else found.Lock(table, concurrently ? LockMode.ShareUpdateExclusive : LockMode.AccessExclusive);
                    if (!concurrently && (table.Name is null || !scope.IsNew(table)))
                        found.Warn($"reads and writes of {(table.Name is null ? "its table" : table)} wait behind DROP INDEX, which waits for those under way", $"DROP INDEX CONCURRENTLY, {NoTransaction}");
                    break;
                case "OBJECT_TRIGGER" or "OBJECT_RULE" or "OBJECT_POLICY":
                    found.Lock(Syntax.Named([.. words.SkipLast(1)]), LockMode.AccessExclusive);
                    break;
                case "OBJECT_SCHEMA" or "OBJECT_EXTENSION" or "OBJECT_TYPE" or "OBJECT_DOMAIN" or "OBJECT_FUNCTION" or "OBJECT_PROCEDURE":
                    if (scope.Phase != Phase.Contract) found.Warn($"the release that runs may still use what {Spoken(type["OBJECT_".Length..].ToLowerInvariant())} takes away", Later);
                    if (cascade) found.CannotSee("what CASCADE takes along");
                    break;
            }
        }
        if (cascade && type is "OBJECT_TABLE" or "OBJECT_VIEW" or "OBJECT_MATVIEW") found.CannotSee("what else CASCADE takes along");
    }

    private void ReadRename(Syntax s)
    {
        string type = s.Text("renameType");
        SqlName table = s["relation"].Table;
        if (s["relation"].Exists && type is not "OBJECT_TYPE" and not "OBJECT_ATTRIBUTE")
        {
            if (type != "OBJECT_INDEX") found.Lock(table, LockMode.AccessExclusive);   // an index is renamed under those who use it
        }
        switch (type)
        {
            case "OBJECT_COLUMN":
                if (OldReleaseReads(table)) found.Warn($"the release that runs still reads {table}.{s.Text("subname")}", NewName);
                break;
            case "OBJECT_TABLE" or "OBJECT_VIEW" or "OBJECT_MATVIEW" or "OBJECT_SEQUENCE":
                if (OldReleaseReads(table)) found.Warn($"the release that runs still reads {table}", $"{NewName}; a view of the old name can stand in for it");
                scope.Make(new SqlName(table.Schema, s.Text("newname")));
                break;
            case "OBJECT_TYPE" or "OBJECT_DOMAIN" or "OBJECT_ATTRIBUTE" or "OBJECT_SCHEMA" or "OBJECT_FUNCTION" or "OBJECT_PROCEDURE":
                if (scope.Phase != Phase.Contract) found.Warn("the release that runs may still use the old name", NewName);
                break;
        }
    }

    private void ReadAlterEnum(Syntax s)
    {
        if (s.Text("oldVal") is { Length: > 0 } old)
        {
            found.Changes();
            if (scope.Phase != Phase.Contract) found.Warn($"the release that runs still knows '{old}'", NewName);
        }
        else if (!scope.IsNewType(s.Name("typeName")))
        {
            found.Changes();   // the release that runs may read a value that it does not know
            scope.AddEnumValue(s.Text("newVal"));
        }
    }

    private void ReadVacuum(Syntax s)
    {
        bool full = s.Is("is_vacuumcmd") && s.HasOption("options", "full");
        SqlName[] tables = [.. s.Items("rels", "VacuumRelation").Select(relation => relation["relation"].Table)];
        if (tables.Length == 0) found.CannotSee("which tables it visits: all");
        foreach (SqlName table in tables)
        {
            if (full) Rewrite(table, "VACUUM FULL", "VACUUM, which keeps nobody away; or pg_repack");
            else found.Lock(table, LockMode.ShareUpdateExclusive);
        }
    }

    private void ReadReindex(Syntax s)
    {
        bool concurrently = s.HasOption("params", "concurrently");
        string kind = s.Text("kind");
        SqlName name = s["relation"].Table;
        SqlName? table = kind switch
        {
            "REINDEX_OBJECT_TABLE" => name,
            "REINDEX_OBJECT_INDEX" => catalog.TableOfIndex(name) ?? scope.TableOfIndex(name),
            _ => null,
        };
        if (table is { } known) found.Lock(known, concurrently ? LockMode.ShareUpdateExclusive : LockMode.Share);
        else found.CannotSee(kind == "REINDEX_OBJECT_INDEX" ? $"which table index {name} is of" : "which tables it visits: all");
        if (!concurrently && (table is null || HasRows(table.Value)))
            found.Warn($"writes to {table?.ToString() ?? "its tables"}, and reads that use the index, wait until it is built", $"REINDEX (CONCURRENTLY), {NoTransaction}");
    }

    private void Rewrite(SqlName table, string what, string safer)
    {
        found.Lock(table, LockMode.AccessExclusive);
        if (!HasRows(table)) return;
        found.Warn($"{what} writes {table} anew while reads and writes wait", safer);
        ReadLongUnderLock(what);
    }
}
