using System.Text.Json;

namespace Agent.Daemon.Migrations.Planning;

/// <summary>A name of SQL, as the parser folded it; empty <paramref name="Schema"/>: the search path decides.</summary>
internal readonly record struct SqlName(string Schema, string Name)
{
    /// <summary>May mean the same: where one of them leaves the schema out, public is taken for it.</summary>
    public bool Means(SqlName other) => Name == other.Name && (Schema == other.Schema || Or(Schema) == Or(other.Schema));

    public override string ToString() => Schema is "" or "public" ? Name : $"{Schema}.{Name}";

    private static string Or(string schema) => schema.Length > 0 ? schema : "public";
}

/// <summary>A place in a syntax tree; what is not there reads as empty, zero or false, as the tree leaves out defaults.</summary>
internal readonly struct Syntax(JsonElement element)
{
    public bool Exists => element.ValueKind == JsonValueKind.Object;

    /// <summary>A field; where it holds a node that names its kind, that with its wrapping.</summary>
    public Syntax this[string field] => Exists && element.TryGetProperty(field, out JsonElement value) ? new Syntax(value) : default;

    /// <summary>Of a node that names its kind, as <c>{"AlterTableStmt":{}}</c>; empty: it does not.</summary>
    public string Kind => Exists && element.EnumerateObject() is var fields && fields.MoveNext() && char.IsUpper(fields.Current.Name[0]) ? fields.Current.Name : "";

    /// <summary>What is inside of a node that names its kind.</summary>
    public Syntax Body => this[Kind];

    public string Text(string field) => Exists && element.TryGetProperty(field, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";

    public bool Is(string field) => Exists && element.TryGetProperty(field, out JsonElement value) && value.ValueKind == JsonValueKind.True;

    public int Number(string field) => Exists && element.TryGetProperty(field, out JsonElement value) && value.TryGetInt32(out int number) ? number : 0;

    public IEnumerable<Syntax> Items(string field) =>
        Exists && element.TryGetProperty(field, out JsonElement value) && value.ValueKind == JsonValueKind.Array ? value.EnumerateArray().Select(item => new Syntax(item)) : [];

    /// <summary>Items of one kind, unwrapped.</summary>
    public IEnumerable<Syntax> Items(string field, string kind) => Items(field).Where(item => item.Kind == kind).Select(item => item.Body);

    /// <summary>An option, as <c>(CONCURRENTLY)</c> or <c>LANGUAGE sql</c>.</summary>
    public Syntax Option(string field, string name) => Items(field, "DefElem").FirstOrDefault(option => option.Text("defname") == name);

    /// <summary>Whether an option is there and not switched off.</summary>
    public bool HasOption(string field, string name) =>
        Option(field, name) is { Exists: true } option && !(option["arg"]["String"].Text("sval") is "false" or "off" || option["arg"]["Boolean"] is { Exists: true } flag && !flag.Is("boolval"));

    /// <summary>The words of a list of <c>String</c> nodes: a qualified name.</summary>
    public IReadOnlyList<string> Words(string field) => [.. Items(field, "String").Select(word => word.Text("sval"))];

    /// <summary>Of a RangeVar, which is the one kind of object that has a <c>relname</c>.</summary>
    public SqlName Table => new(Text("schemaname"), Text("relname"));

    /// <summary>Of a list of <c>String</c> nodes.</summary>
    public SqlName Name(string field) => Named(Words(field));

    public static SqlName Named(IReadOnlyList<string> words) => words switch
    {
        [] => default,
        [var name] => new SqlName("", name),
        _ => new SqlName(words[^2], words[^1]),
    };

    /// <summary>This and everything below it, with the name of the field that holds it; lists give their items.</summary>
    public IEnumerable<(string Field, Syntax Node)> Everything() => Below("", element);

    private static IEnumerable<(string Field, Syntax Node)> Below(string field, JsonElement place)
    {
        // A stack of its own: nested enumerators would take a call for each level and item.
        var left = new Stack<(string, JsonElement)>();
        left.Push((field, place));
        while (left.TryPop(out (string Field, JsonElement Place) next))
        {
            switch (next.Place.ValueKind)
            {
                case JsonValueKind.Object:
                    yield return (next.Field, new Syntax(next.Place));
                    foreach (JsonProperty property in next.Place.EnumerateObject().Reverse()) left.Push((property.Name, property.Value));
                    break;
                case JsonValueKind.Array:
                    foreach (JsonElement item in next.Place.EnumerateArray().Reverse()) left.Push((next.Field, item));
                    break;
            }
        }
    }
}
