using System.Globalization;

namespace Agent.Daemon.Migrations.Planning;

/// <summary>Types of columns, as far as changing them rewrites the table or not.</summary>
/// <remarks>
/// Source: ALTER TABLE, "Notes": a type change rewrites unless the old one is binary coercible to the new; the planner's transform functions (varchar_support,
/// numeric_support, varbit_support, timestamp_support and so on) drop a conversion that only makes the limit wider.
/// </remarks>
internal static class ColumnTypes
{
    private static readonly Dictionary<string, string> Full = new()
    {
        ["varchar"] = "character varying",
        ["bpchar"] = "character",
        ["int2"] = "smallint",
        ["int4"] = "integer",
        ["int8"] = "bigint",
        ["bool"] = "boolean",
        ["float4"] = "real",
        ["float8"] = "double precision",
        ["varbit"] = "bit varying",
        ["timestamp"] = "timestamp without time zone",
        ["timestamptz"] = "timestamp with time zone",
        ["time"] = "time without time zone",
        ["timetz"] = "time with time zone",
        ["decimal"] = "numeric",
    };

    /// <summary>Types that are no types: a column of them gets a sequence, and every row its number.</summary>
    public static bool IsSerial(Syntax type) => type.Words("names")[^1] is "serial" or "bigserial" or "smallserial" or "serial2" or "serial4" or "serial8";

    /// <param name="type">A TypeName of the tree.</param>
    /// <returns>As format_type writes it: <c>numeric(10,2)</c>.</returns>
    public static string Of(Syntax type)
    {
        string name = type.Words("names") is [.., var last] ? last : "";
        string limits = string.Join(',', type.Items("typmods", "A_Const").Select(limit => limit["ival"].Number("ival").ToString(CultureInfo.InvariantCulture)));
        name = Full.GetValueOrDefault(name, name);
        string array = type.Items("arrayBounds").Any() ? "[]" : "";
        if (limits.Length == 0) return name + array;
        int zone = name.IndexOf(" with", StringComparison.Ordinal);
        return (zone < 0 ? $"{name}({limits})" : $"{name[..zone]}({limits}){name[zone..]}") + array;
    }

    /// <summary>Whether the rows stay as they are. Indexes may be built anew all the same.</summary>
    public static bool KeepsRows(string from, string to)
    {
        if (from == to) return true;
        (string oldName, int[] old) = Split(from);
        (string newName, int[] @new) = Split(to);
        switch (oldName, newName)
        {
            case ("character varying" or "text", "text"):
            case ("cidr", "inet"):
                return true;
            case ("text", "character varying"):
                return @new.Length == 0;
            case ("character varying", "character varying"):
            case ("bit varying", "bit varying"):
            case ("timestamp without time zone", "timestamp without time zone"):
            case ("timestamp with time zone", "timestamp with time zone"):
            case ("time without time zone", "time without time zone"):
            case ("time with time zone", "time with time zone"):
                return @new.Length == 0 || (old.Length > 0 && @new[0] >= old[0]);
            case ("numeric", "numeric"):
                return @new.Length == 0 || (old.Length > 0 && Scale(old) == Scale(@new) && @new[0] >= old[0]);
            default:
                return false;
        }
    }

    private static int Scale(int[] limits) => limits.Length > 1 ? limits[1] : 0;

    private static (string Name, int[] Limits) Split(string type)
    {
        int open = type.IndexOf('(', StringComparison.Ordinal), close = type.IndexOf(')', StringComparison.Ordinal);
        if (open < 0 || close < open) return (type, []);
        int[] limits = [.. type[(open + 1)..close].Split(',').Select(limit => int.TryParse(limit, out int number) ? number : 0)];
        return (type[..open] + type[(close + 1)..], limits);
    }
}
