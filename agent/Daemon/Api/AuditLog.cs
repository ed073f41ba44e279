using System.Text.Json;
using System.Text.Json.Serialization;
using Agent.Artifacts.Durable;
using Microsoft.Extensions.Logging;

namespace Agent.Daemon.Api;

/// <summary>One change that was asked for, or one refusal.</summary>
/// <param name="By"><c>uid 1000 (ann)</c>.</param>
/// <param name="Role"><c>viewer</c>, <c>deployer</c>, <c>admin</c>; empty: none.</param>
/// <param name="Wish">What was asked for: <c>deploy v1.2.0</c>.</param>
/// <param name="App">Empty: of no single app.</param>
/// <param name="Outcome">The deployment that began, <c>done</c>, or why it was refused.</param>
/// <param name="From">Where the call came from: <c>pid 4711 on the agent's socket</c>, <c>192.0.2.7 port 40222</c>; empty: not known.</param>
internal sealed record AuditEntry(DateTimeOffset At, string By, string Role, string Wish, string App, bool Refused, string Outcome, string From = "");

/// <summary>
/// Who changed what, and who was refused: a line of JSON each in a file (mode 600) that becomes <c>audit.1</c> at 4 MiB, in place of the one
/// before. It tells and never decides: where it cannot be written, the log says so once and the change goes its way.
/// </summary>
/// <param name="path">Of the file; its directory exists.</param>
internal sealed class AuditLog(IDisk disk, string path, ILogger<AuditLog> logger)
{
    public const int MostBytes = 4 << 20;

    private const int LongestName = 100, LongestWish = 400, LongestOutcome = 400;

    private readonly Lock gate = new();
    private bool failing;

    private string Older => path + ".1";

    public void Write(AuditEntry entry)
    {
        byte[] line = JsonSerializer.SerializeToUtf8Bytes(
            entry with
            {
                By = PlainText.Of(entry.By, LongestName),
                From = PlainText.Of(entry.From, LongestName),
                Wish = PlainText.Of(entry.Wish, LongestWish),
                App = PlainText.Of(entry.App, LongestName),
                Outcome = PlainText.Of(entry.Outcome, LongestOutcome),
            },
            AuditJson.Default.AuditEntry);
        lock (gate)
        {
            try
            {
                (long length, bool torn) = End();
                if (length + line.Length >= MostBytes)
                {
                    disk.Rename(path, Older);
                    torn = false;
                }
                disk.AppendDurable(path, torn ? [(byte)'\n', .. line, (byte)'\n'] : [.. line, (byte)'\n']);
                failing = false;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                if (!failing) logger.AuditNotWritten(path, e.Message);
                failing = true;
            }
        }
    }

    /// <summary>Newest first. A line that a power cut tore is left out.</summary>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public IReadOnlyList<AuditEntry> Read(int limit)
    {
        var newest = new List<AuditEntry>();
        lock (gate)
        {
            foreach (string file in (string[])[path, Older])
            {
                if (newest.Count == limit || disk.Kind(file) != EntryKind.File) continue;
                foreach (string line in disk.ReadText(file).Split('\n').Reverse())
                {
                    if (newest.Count == limit) break;
                    if (Parse(line) is { } entry) newest.Add(entry);
                }
            }
        }
        return newest;
    }

    private static AuditEntry? Parse(string line)
    {
        if (line.Length == 0) return null;
        try
        {
            return JsonSerializer.Deserialize(line, AuditJson.Default.AuditEntry);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    // Torn: the last write was cut short, and the next record must not be glued to what is left of it.
    private (long Length, bool Torn) End()
    {
        if (disk.Kind(path) != EntryKind.File) return (0, false);
        using Stream file = disk.OpenRead(path);
        if (file.Length == 0) return (0, false);
        file.Seek(-1, SeekOrigin.End);
        return (file.Length, file.ReadByte() != '\n');
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, RespectRequiredConstructorParameters = true, RespectNullableAnnotations = true)]
[JsonSerializable(typeof(AuditEntry))]
internal sealed partial class AuditJson : JsonSerializerContext;
