using Agent.Artifacts;
using Agent.Artifacts.Durable;

namespace Agent.Daemon.Migrations.RestorePoints;

/// <summary>Puts a dump into an empty database, and counts what a dump holds.</summary>
/// <param name="root">Of the file system, where the tools are looked for.</param>
internal sealed class Restore(IDisk disk, RestorePointStore store, RestorePoint point, string root)
{
    /// <summary>
    /// As the app's own role, so that no code of the app ever runs as another; owners are those that the dump names. The first error ends it.
    /// </summary>
    /// <param name="into">An empty database.</param>
    /// <param name="jobs">More than 1 takes room for the decompressed dump beside it.</param>
    public async Task IntoAsync(DatabaseAddress into, int server, string application, int jobs, IWorkProgress messages, CancellationToken cancellationToken)
    {
        PostgresTools tools = await ToolsAsync(server, cancellationToken);
        IReadOnlyDictionary<string, string> environment = Dump.Environment(into, application);
        var transfer = new Transfer(messages, $"restoring {point.Id}", point.Size);
        disk.MakeDirectories(store.Work, DurableOperations.Mode700);
        string list = Path.Combine(store.Work, $"{point.Id}.list"), dump = Path.Combine(store.Work, $"{point.Id}.dump");
        try
        {
            string[] contents = await ContentsAsync(tools, cancellationToken);
            disk.WriteFile(list, DurableOperations.Mode600, stream =>
            {
                using var writer = new StreamWriter(stream, leaveOpen: true);
                // What an extension's comment says, making the extension says too; and only its owner may say it.
                foreach (string line in contents.Where(line => !line.Contains(" COMMENT - EXTENSION ", StringComparison.Ordinal))) writer.WriteLine(line);
            });
            List<string> arguments = ["--exit-on-error", "--no-password", $"--use-list={list}", $"--dbname=dbname='{into.Name.Replace("\\", @"\\", StringComparison.Ordinal).Replace("'", @"\'", StringComparison.Ordinal)}'"];
            if (jobs > 1)
            {
                // Several read it at once, each from its own place.
                await Task.Run(() => disk.WriteFile(dump, DurableOperations.Mode600, file => store.Read(point, chunk => file.Write(chunk.Span), transfer.Reach, cancellationToken)), cancellationToken);
                await ToolProgram.RunAsync(tools.Restore, [.. arguments, $"--jobs={jobs}", dump], environment, null, ToolProgram.Ignore, cancellationToken);
            }
            else await ToolProgram.RunAsync(tools.Restore, arguments, environment, pipe => Feed(pipe, transfer.Reach, cancellationToken), ToolProgram.Ignore, cancellationToken);
        }
        finally
        {
            disk.RemoveFile(list);
            disk.RemoveFile(dump);
        }
    }

    /// <summary>Rows of each table, and large objects, as the dump has them.</summary>
    public async Task<DumpCounts> CountAsync(int server, IWorkProgress messages, CancellationToken cancellationToken)
    {
        var transfer = new Transfer(messages, $"counting what {point.Id} holds", point.Size);
        PostgresTools tools = await ToolsAsync(server, cancellationToken);
        DumpCounts? counts = null;
        await ToolProgram.RunAsync(
            tools.Restore, ["--data-only", "--file=-"], new Dictionary<string, string>(), pipe => Feed(pipe, transfer.Reach, cancellationToken), script => counts = DumpCounts.Of(script), cancellationToken);
        return counts!;
    }

    private async Task<string[]> ContentsAsync(PostgresTools tools, CancellationToken cancellationToken)
    {
        string contents = "";
        await ToolProgram.RunAsync(
            tools.Restore, ["--list"], new Dictionary<string, string>(), pipe => Feed(pipe, null, cancellationToken), output => contents = new StreamReader(output).ReadToEnd(), cancellationToken);
        return contents.Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    private Task<PostgresTools> ToolsAsync(int server, CancellationToken cancellationToken) => PostgresTools.FindAsync(server, point.Tool!.Value, root, cancellationToken);

    // pg_restore may have read enough before the end: then the rest is not its business, but its checksum is ours.
    private void Feed(Stream pipe, Action<long>? reached, CancellationToken cancellationToken)
    {
        bool reads = true;
        store.Read(point, chunk =>
        {
            if (!reads) return;
            try
            {
                pipe.Write(chunk.Span);
            }
            catch (IOException)
            {
                reads = false;
            }
        }, reached, cancellationToken);
    }
}
