using System.Text.Json;

namespace Agent.Cli.Commands;

/// <summary>
/// What the drill's agent adds to its journal from now on. An event over the socket comes too late for a step that takes a millisecond; a record
/// is seen the moment it is written.
/// </summary>
internal sealed class DrillJournal : IDisposable
{
    private readonly FileStream file;
    private readonly FileSystemWatcher watcher;
    private readonly Lock gate = new();
    private readonly List<byte> line = [];
    private readonly byte[] buffer = new byte[1 << 14];

    public DrillJournal(string directory)
    {
        file = new FileStream(Path.Combine(directory, "journal"), FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
        file.Seek(0, SeekOrigin.End);
        watcher = new FileSystemWatcher(directory, "journal") { NotifyFilter = NotifyFilters.LastWrite | NotifyFilters.Size };
    }

    /// <summary>Calls <paramref name="act"/> when a record of this type and step appears.</summary>
    /// <param name="type"><c>step-started</c> or <c>undo-started</c>: names of records and their properties stay as they are.</param>
    /// <param name="until">The deployment: when it is over, there is nothing to wait for.</param>
    /// <returns>The id of the deployment that the record is of; null: it never appeared.</returns>
    public async Task<string?> WhenAsync(string type, string step, Func<Task> until, Action act)
    {
        string? found = null;
        bool over = false;
        watcher.Changed += (_, _) =>
        {
            lock (gate)
            {
                if (over || found is not null || (found = Find(type, step)) is null) return;
                act();
            }
        };
        watcher.EnableRaisingEvents = true;
        await until();
        lock (gate)   // until an act under way is done
        {
            over = true;
            return found;
        }
    }

    public void Dispose()
    {
        watcher.Dispose();
        file.Dispose();
    }

    /// <returns>Null where what was added since the last look holds no such record.</returns>
    private string? Find(string type, string step)
    {
        while (file.Read(buffer) is > 0 and var length)
        {
            foreach (byte b in buffer.AsSpan(0, length))
            {
                if (b != '\n')
                {
                    line.Add(b);
                    continue;
                }
                string? deployment = Match([.. line], type, step);
                line.Clear();
                if (deployment is not null) return deployment;
            }
        }
        return null;
    }

    // CHECKSUM NUMBER JSON
    private static string? Match(byte[] line, string type, string step)
    {
        using JsonDocument record = JsonDocument.Parse(line.AsMemory(Array.IndexOf(line, (byte)'{')));
        JsonElement root = record.RootElement;
        return root.GetProperty("type").ValueEquals(type) && step.Equals(root.GetProperty("step").GetString(), StringComparison.OrdinalIgnoreCase)
            ? root.GetProperty("deployment").GetString()
            : null;
    }
}
