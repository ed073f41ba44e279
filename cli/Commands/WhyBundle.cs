using System.Formats.Tar;
using System.IO.Compression;
using System.Text;
using System.Text.Json;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

/// <summary>
/// <c>why --bundle FILE</c>: what the agent knows of a failed deployment, as files that a colleague can read without the host. A question
/// that fails is told inside, in <c>contents.txt</c>; the others are asked all the same.
/// </summary>
internal static class WhyBundle
{
    private const int Lines = 2_000, Deployments = 200;
    private const string Elsewhere = "name another file, or remove it";

    private static readonly TimeSpan LogLimit = TimeSpan.FromSeconds(30);

    /// <exception cref="OperatorException">The file exists (<see cref="ExitCode.Refused"/>), or no question was answered: then there is no file.</exception>
    public static async Task<int> WriteAsync(AgentCall call, GetDeploymentRequest request, string file, CancellationToken cancellationToken)
    {
        file = Path.GetFullPath(file);
        if (Path.Exists(file)) throw Exists(file);   // before all the questions
        Collected collected = await CollectAsync(call, request, cancellationToken);
        if (collected.Files.Count == 0) throw collected.First!;
        NewFile.Write(file, await PackAsync(collected, call.Time.GetUtcNow(), cancellationToken), Elsewhere);
        if (call.Json)
        {
            call.Terminal.Document(writer => writer.Object(collected, (w, all) =>
            {
                w.WriteString("file", file);
                w.Texts("contents", all.Files.Select(one => one.Name));
                w.Texts("missing", all.Missing);
            }));
            return 0;
        }
        call.Terminal.Line($"wrote {file}: {string.Join(", ", collected.Files.Select(one => one.Name))}");
        foreach (string missing in collected.Missing) call.Terminal.ErrorLine(new Piece("missing ", Tone.Bad), missing);
        return 0;
    }

    private static OperatorException Exists(string file) => new(ExitCode.Refused, $"{file} exists already", Elsewhere);

    private static async Task<Collected> CollectAsync(AgentCall call, GetDeploymentRequest request, CancellationToken cancellationToken)
    {
        var all = new Collected();
        string app = call.App;
        await all.AddAsync("deployment.json", async () =>
        {
            GetDeploymentResponse why = await call.Agent.AskAsync((client, options) => client.GetDeploymentAsync(request, options), cancellationToken);
            app = why.Deployment.App;
            return Document(why, JsonMessages.Why);
        });
        await all.AddAsync("status.json", async () =>
        {
            GetStatusResponse status = await call.Agent.AskAsync((client, options) => client.GetStatusAsync(new GetStatusRequest { App = app }, options), cancellationToken);
            if (app.Length == 0 && status.Apps is [var only]) app = only.App;
            return Document(status, JsonMessages.Status);
        });
        await all.AddAsync("health.json", async () => Document(
            await call.Agent.AskAsync((client, options) => client.GetHealthAsync(new GetHealthRequest { App = app }, options), cancellationToken), JsonMessages.Health));
        await all.AddAsync("releases.json", async () => Document(
            await call.Agent.AskAsync((client, options) => client.ListReleasesAsync(new ListReleasesRequest { App = app }, options), cancellationToken),
            (writer, releases) => writer.Array("releases", releases.Releases, JsonMessages.Release)));
        await all.AddAsync("history.json", async () => Document(
            await call.Agent.AskAsync((client, options) => client.ListDeploymentsAsync(new ListDeploymentsRequest { App = app, Limit = Deployments }, options), cancellationToken),
            (writer, history) => writer.Array("deployments", history.Deployments, JsonMessages.Deployment)));
        await all.AddAsync("diff.json", async () => Document(
            await call.Agent.AskAsync((client, options) => client.DiffGenerationsAsync(new DiffGenerationsRequest { App = app }, options), cancellationToken), JsonMessages.Diff));
        await all.AddAsync("agentd.yaml", () => ConfigCommand.TextAsync(call, "", cancellationToken));
        if (app.Length > 0) await all.AddAsync("app.yaml", () => ConfigCommand.TextAsync(call, app, cancellationToken));
        await all.AddAsync("log.txt", () => LogAsync(call, app, cancellationToken));
        return all;
    }

    private static async Task<string> LogAsync(AgentCall call, string app, CancellationToken cancellationToken)
    {
        var text = new StringBuilder();
        using var limit = new CancellationTokenSource(LogLimit, call.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            await foreach (LogLine line in call.Agent.StreamAsync((client, options) => client.ReadLogs(new ReadLogsRequest { App = app, Lines = Lines }, options), either.Token))
                text.Append(Terminal.Clean(LogsCommand.Text(line))).Append('\n');
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            text.Append($"(the agent sent no more within {LogLimit.TotalSeconds} s)\n");
        }
        return text.ToString();
    }

    private static string Document<T>(T message, Action<Utf8JsonWriter, T> fields) => Json.Text(true, writer => writer.Object(message, fields)) + "\n";

    private static async Task<byte[]> PackAsync(Collected all, DateTimeOffset now, CancellationToken cancellationToken)
    {
        using var packed = new MemoryStream();
        await using (var zipped = new GZipStream(packed, CompressionLevel.Optimal, leaveOpen: true))
        await using (var tar = new TarWriter(zipped, TarEntryFormat.Pax))
        {
            foreach ((string name, string text) in all.Files.Prepend(("contents.txt", Contents(all, now))))
            {
                var entry = new PaxTarEntry(TarEntryType.RegularFile, $"why/{name}")
                {
                    Mode = DurableOperations.Mode600,
                    ModificationTime = now,
                    DataStream = new MemoryStream(Encoding.UTF8.GetBytes(text)),
                };
                await tar.WriteEntryAsync(entry, cancellationToken);
            }
        }
        return packed.ToArray();
    }

    private static string Contents(Collected all, DateTimeOffset now)
    {
        var text = new StringBuilder($"What agentd knew at {now:yyyy-MM-dd HH:mm:ss}Z, told by agentctl {AgentCtl.Version}. Values of secrets are not in here.\n\n");
        foreach ((string name, _) in all.Files) text.Append(name).Append('\n');
        if (all.Missing.Count > 0) text.Append("\nmissing:\n");
        foreach (string missing in all.Missing) text.Append(Terminal.Clean(missing)).Append('\n');
        return text.ToString();
    }

    private sealed class Collected
    {
        public List<(string Name, string Text)> Files { get; } = [];

        /// <summary><c>diff.json: there is no generation before this one</c>.</summary>
        public List<string> Missing { get; } = [];

        /// <summary>The first question that failed; null: none did.</summary>
        public OperatorException? First { get; private set; }

        public async Task AddAsync(string name, Func<Task<string>> ask)
        {
            try
            {
                Files.Add((name, await ask()));
            }
            catch (OperatorException e)
            {
                First ??= e;
                Missing.Add($"{name}: {e.Message}");
            }
        }
    }
}
