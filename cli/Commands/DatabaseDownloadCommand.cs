using System.CommandLine;
using Agent.Artifacts;
using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class DatabaseDownloadCommand
{
    public static Verb Create(Verbs verbs)
    {
        var id = new Argument<string>("ID") { Description = "a restore point; left out: the newest", Arity = ArgumentArity.ZeroOrOne, DefaultValueFactory = _ => "" };
        var file = new Option<string>("--output-file", "-O") { Description = "the file to write (mode 600); it must not be there", HelpName = "FILE", Required = true };
        return verbs.AskingOne(
            new Verb("download", "Writes the dump of a restore point into a file that pg_restore reads.", "agentctl db download -O shop.dump", "agentctl db download shop-12 -O shop.dump --app shop"),
            [id, file, verbs.App],
            (call, cancellationToken) => RunAsync(
                call, new DownloadRestorePointRequest { App = call.App, Id = call.Parsed.GetValue(id) ?? "" }, Path.GetFullPath(call.Parsed.GetValue(file)!), cancellationToken),
            "a dump goes into one file");
    }

    private static async Task<int> RunAsync(AgentCall call, DownloadRestorePointRequest request, string file, CancellationToken cancellationToken)
    {
        if (Path.Exists(file)) throw new OperatorException(ExitCode.Refused, $"{file} exists already", "name another file, or remove it");
        RestorePoint? point = null;
        string beside = file + ".part";
        long size = 0;
        try
        {
            await using (var stream = new FileStream(beside, new FileStreamOptions
            {
                Mode = FileMode.Create,
                Access = FileAccess.Write,
                UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
            }))
            {
                await foreach (RestorePointChunk chunk in call.Agent.StreamDatabaseAsync((client, options) => client.DownloadRestorePoint(request, options), cancellationToken))
                {
                    point ??= chunk.Point;
                    await stream.WriteAsync(chunk.Data.Memory, cancellationToken);
                    size += chunk.Data.Length;
                    call.Terminal.Progress($"{Human.Size(size)}");
                }
                stream.Flush(flushToDisk: true);
            }
            new Artifacts.Durable.Disk().Rename(beside, file);
        }
        catch (IOException e)
        {
            throw new OperatorException(ExitCode.Refused, $"{file} was not written: {e.Message}", "name a file on a disk with more room", e);
        }
        finally
        {
            File.Delete(beside);
        }
        if (call.Json)
        {
            call.Terminal.Document(writer => writer.Object(point!, (w, downloaded) =>
            {
                w.WriteString("file", file);
                w.WriteNumber("size_bytes", size);
                w.Object("restore_point", downloaded, JsonMessages.RestorePoint);
            }));
        }
        else call.Terminal.Line($"wrote {file}: {point!.Id}, {Human.Size(size)}; pg_restore --list {file}");
        return 0;
    }
}
