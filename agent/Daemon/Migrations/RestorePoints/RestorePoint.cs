using System.Text.Json.Serialization;

namespace Agent.Daemon.Migrations.RestorePoints;

/// <summary>A backup of an app's database. Lies as ID.json beside ID.dump.zst; the JSON is written last, so what it names is whole.</summary>
/// <param name="Id">Of the deployment that it was taken for, or of the moment: <c>shop-12</c>, <c>shop-20261121-081235</c>.</param>
/// <param name="Host">That took it.</param>
/// <param name="By">Who asked for it: <c>uid 0 (root)</c>, <c>tracking</c>.</param>
internal sealed record RestorePoint(string Id, string App, DateTimeOffset At, string Database, string Host, string By)
{
    /// <summary>The version that ran; null: nothing.</summary>
    public string? Release { get; init; }

    /// <summary>That it was taken for; null: by hand.</summary>
    public string? Deployment { get; init; }

    /// <summary>Id of the restore point that the database was then put back to by the operator's command, in place; null: none.</summary>
    public string? BeforeRestoreOf { get; init; }

    /// <summary>The ledger's last at that moment; null: it had none.</summary>
    public string? LastMigration { get; init; }

    /// <summary>How many the ledger had.</summary>
    public int Migrations { get; init; }

    /// <summary><c>15.18</c>.</summary>
    public string ServerVersion { get; init; } = "";

    /// <summary>Major version of the pg_dump that wrote it; null: the operator's command did.</summary>
    public int? Tool { get; init; }

    /// <summary>What the operator's command calls it; null: it is a dump.</summary>
    public string? Name { get; init; }

    /// <summary>Bytes on the disk.</summary>
    public long Size { get; init; }

    /// <summary>Of the database, in bytes, with its indexes.</summary>
    public long DatabaseSize { get; init; }

    /// <summary>Of the file, 64 hexadecimal digits; empty where there is none.</summary>
    public string Sha256 { get; init; } = "";

    [JsonIgnore]
    public string Format => Name is null ? "pg_dump custom, zstd" : $"the operator's command: {Name}";
}

/// <summary>What a restore point is taken for.</summary>
/// <param name="Release">The version that runs; null: nothing.</param>
/// <param name="Deployment">Its id; null: by hand.</param>
/// <param name="By">Who asked.</param>
internal sealed record RestorePointReason(string? Release, string? Deployment, string By)
{
    /// <summary>Id of one that is put back in place afterwards; null: none.</summary>
    public string? BeforeRestoreOf { get; init; }
}

/// <summary>A restore point, and why it stays: <c>newest</c>, <c>2 of 5</c>.</summary>
internal sealed record KeptRestorePoint(RestorePoint Point, string Because);

[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(RestorePoint))]
internal sealed partial class RestorePointJson : JsonSerializerContext;
