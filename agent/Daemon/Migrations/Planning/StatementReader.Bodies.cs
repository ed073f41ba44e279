namespace Agent.Daemon.Migrations.Planning;

/// <summary>DO blocks and functions: what runs when they do.</summary>
internal sealed partial class StatementReader
{
    private const int Deepest = 20;

    private readonly HashSet<SqlName> called = [];   // twice tells nothing new
    private int depth;

    private void ReadDo(Syntax s)
    {
        string body = s.Option("args", "as")["arg"]["String"].Text("sval");
        string language = s.Option("args", "language")["arg"]["String"].Text("sval");
        if (language is "" or "plpgsql") ReadBlock($"DO {Quoted(body)}", "a DO block");
        else found.CannotSee($"a DO block in {language}");
    }

    /// <summary>A function is called: what it does happens now.</summary>
    private void ReadCall(SqlName function)
    {
        if (function.Schema == "pg_catalog" || !called.Add(function)) return;
        if (scope.TryFunction(function, out Syntax definition))
        {
            ReadFunction(function, definition);
        }
        else if (catalog.IsKnown)
        {
            foreach (FunctionFacts facts in catalog.Named(function).Where(facts => facts.Language != "internal").Take(4))
            {
                if (facts.Language is not ("sql" or "plpgsql") || facts.Definition.Length == 0) found.CannotSee($"function {function}, in {facts.Language}");
                else ReadText(facts.Definition, $"function {function}", created => ReadFunction(function, created.Body));
            }
        }
        else if (!KnownHarmless.Contains(function.Name))
        {
            found.CannotSee($"function {function}");
        }
    }

    /// <param name="definition">A CreateFunctionStmt.</param>
    private void ReadFunction(SqlName function, Syntax definition)
    {
        string where = $"function {function}", language = definition.Option("options", "language")["arg"]["String"].Text("sval");
        string body = definition.Option("options", "as")["arg"]["List"].Items("items", "String").Select(text => text.Text("sval")).FirstOrDefault() ?? "";
        if (definition["sql_body"].Exists)
        {
            foreach ((string _, Syntax inner) in definition["sql_body"].Everything().Where(one => one.Node.Kind.EndsWith("Stmt", StringComparison.Ordinal))) Read(inner);
        }
        else if (language == "sql")
        {
            ReadText(body, where, Read);
        }
        else if (language == "plpgsql")
        {
            // What it returns says which forms of RETURN the parser takes.
            Syntax returns = definition["returnType"];
            string type = returns.Words("names") is [.., var last] ? last : "void";
            if (type is not ("void" or "trigger")) type = returns.Is("setof") ? "SETOF text" : "text";
            ReadBlock($"CREATE FUNCTION f() RETURNS {type} LANGUAGE plpgsql AS {Quoted(body)}", where);
        }
        else
        {
            found.CannotSee($"{where}, in {language}");
        }
    }

    /// <param name="block">A DO or CREATE FUNCTION statement.</param>
    private void ReadBlock(string block, string where)
    {
        Deeper(where, () =>
        {
            foreach ((string field, Syntax node) in parser.ParseBlock(block).Everything()) ReadBlock(field, node, where);
        });
    }

    private void ReadBlock(string field, Syntax node, string where)
    {
        switch (field)
        {
            case "PLpgSQL_stmt_execsql":
                ReadText(node["sqlstmt"]["PLpgSQL_expr"].Text("query"), where, Read);
                break;
            case "PLpgSQL_stmt_perform" or "PLpgSQL_stmt_call":
                ReadText(node["expr"]["PLpgSQL_expr"].Text("query"), where, Read);
                break;
            case "PLpgSQL_stmt_fors" or "PLpgSQL_stmt_forc" or "PLpgSQL_stmt_open" or "PLpgSQL_stmt_return_query":
                ReadText(node["query"]["PLpgSQL_expr"].Text("query"), where, Read);
                ReadExecuted(node["dynquery"]["PLpgSQL_expr"].Text("query"), where);
                break;
            case "PLpgSQL_stmt_dynexecute" or "PLpgSQL_stmt_dynfors":
                ReadExecuted(node["query"]["PLpgSQL_expr"].Text("query"), where);
                break;
            case "cond" or "default_val" or "expr" when node["PLpgSQL_expr"].Text("query") is { Length: > 0 } expression:
                ReadExpression(expression, where);
                break;
        }
    }

    // EXECUTE: a constant text is looked into, and a format() or the like of one is not.
    private void ReadExecuted(string expression, string where)
    {
        if (expression.Length == 0) return;
        try
        {
            if (parser.Parse($"SELECT {expression}") is [var select] && select.Body.Items("targetList", "ResTarget").ToArray() is [var only]
                && only["val"]["A_Const"]["sval"].Text("sval") is { Length: > 0 } constant)
            {
                ReadText(constant, where, Read);
                return;
            }
        }
        catch (UnreadableSqlException)
        {
            // As any that is computed.
        }
        found.CannotSee($"{where}: EXECUTE of a computed string");
    }

    // A condition or the right side of an assignment, which may call functions and ask tables.
    private void ReadExpression(string expression, string where)
    {
        int assigned = expression.IndexOf(":=", StringComparison.Ordinal);
        if (expression.StartsWith("SELECT ", StringComparison.OrdinalIgnoreCase)) return;   // of PERFORM, which is read
        ReadText($"SELECT {(assigned < 0 ? expression : expression[(assigned + 2)..])}", where, ReadQuery);
    }

    private void ReadText(string sql, string where, Action<Syntax> read)
    {
        if (sql.Length == 0) return;
        Deeper(where, () =>
        {
            foreach (Syntax statement in parser.Parse(sql)) read(statement);
        });
    }

    private void Deeper(string where, Action read)
    {
        if (depth == Deepest)
        {
            found.CannotSee($"{where}: too much within another");
            return;
        }
        depth++;
        try
        {
            read();
        }
        catch (UnreadableSqlException e)
        {
            found.CannotSee($"{where}: {e.Message}");
        }
        depth--;
    }

    private static string Quoted(string body) => $"'{body.Replace("'", "''", StringComparison.Ordinal)}'";

    // Of PostgreSQL's own; for when there is no database that says which are not.
    private static readonly HashSet<string> KnownHarmless =
    [
        "now", "clock_timestamp", "statement_timestamp", "transaction_timestamp", "timezone", "date_trunc", "date_part", "extract", "age", "make_date", "make_interval", "to_char", "to_date", "to_timestamp",
        "nextval", "currval", "lastval", "setval", "gen_random_uuid", "random", "md5", "sha256", "lower", "upper", "length", "concat", "concat_ws", "format", "replace", "substring", "substr", "trim", "btrim", "ltrim", "rtrim",
        "split_part", "regexp_replace", "string_agg", "array_agg", "jsonb_agg", "json_agg", "jsonb_build_object", "json_build_object", "to_json", "to_jsonb", "jsonb_set", "coalesce", "count", "sum", "min", "max", "avg",
        "abs", "round", "floor", "ceil", "greatest", "least", "generate_series", "unnest", "row_number", "rank", "position", "left", "right", "lpad", "rpad", "repeat", "encode", "decode", "current_setting",
        "to_regclass", "array_length", "cardinality", "exists", "pg_get_serial_sequence",
    ];
}
