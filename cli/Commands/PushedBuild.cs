using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Packs;
using Agent.Artifacts.Publishing;
using Agent.Artifacts.Stores;
using Agent.Artifacts.Trust;
using Agent.Cli.Hosts;
using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

/// <summary>Options of the verbs that push.</summary>
internal sealed class PushOptions
{
    private readonly Option<string?> store = new("--store") { Description = $"the store to push from, a directory or URL, else ${StoreOptions.StoreVariable}; a PATH is published there first", HelpName = "STORE" };
    private readonly Option<string?> keyFile = new("--key-file") { Description = $"for a PATH: the private keys, else ${StoreOptions.KeyFileVariable}", HelpName = "FILE" };
    private readonly Option<string?> version = new("--version") { Description = "of a PATH: its version; else what a VERSION file in it says", HelpName = "VERSION" };
    private readonly Option<bool> unsigned = new("--unsigned") { Description = "push a PATH without signatures or store; only to hosts whose operator lets you (unsigned_push in agentd.yaml)" };

    public IEnumerable<Option> All => [store, keyFile, version, unsigned];

    /// <summary>Whether an argument names what lies here, and not a version.</summary>
    public static bool IsPath(string? argument) =>
        argument is not null && (argument.Contains('/') || (Path.Exists(argument) && !ReleaseVersion.TryParse(argument, out _)));

    /// <summary>Whether any of these is typed.</summary>
    public bool AnyIn(ParseResult parsed) => All.Any(option => parsed.GetResult(option) is { Implicit: false });

    public string StoreOf(ParseResult parsed) => StoreOptions.Required(parsed.GetValue(store), "--store", "STORE", StoreOptions.StoreVariable);

    public string KeyFileOf(ParseResult parsed) => Path.GetFullPath(StoreOptions.Required(parsed.GetValue(keyFile), "--key-file", "FILE", StoreOptions.KeyFileVariable));

    public bool IsUnsigned(ParseResult parsed) => parsed.GetValue(unsigned);

    /// <returns>Null: it is not said.</returns>
    public string? VersionOf(ParseResult parsed) => parsed.GetValue(version);
}

/// <summary>What is pushed, ready to be sent to any number of hosts.</summary>
internal sealed class PushedBuild : IDisposable
{
    private static readonly string[] s_signed = ["metadata/", "targets/", "blobs/sha256/"], s_unsigned = [UnsignedBuild.ManifestObject, "blobs/sha256/"];

    private readonly IStoreReader store;
    private readonly DirectoryInfo scratch;
    private readonly PushStart start;
    private int sends;

    private PushedBuild(IStoreReader store, DirectoryInfo scratch, PushStart start) => (this.store, this.scratch, this.start) = (store, scratch, start);

    /// <summary>A version is read from the store; a path is published there first, or packed here where it goes unsigned.</summary>
    /// <param name="app">Empty: as the environment says, or the only one of the host.</param>
    /// <exception cref="OperatorException">There is nothing to push, or the store or the keys do not do.</exception>
    public static async Task<PushedBuild> PrepareAsync(
        PushOptions options, ParseResult parsed, string argument, string app, Terminal terminal, TimeProvider time, CancellationToken cancellationToken)
    {
        if (app.Length == 0) app = Environment.GetEnvironmentVariable(StoreOptions.AppVariable) ?? "";
        bool isPath = PushOptions.IsPath(argument), unsigned = options.IsUnsigned(parsed);
        DirectoryInfo scratch = Directory.CreateTempSubdirectory("agentctl-");
        try
        {
            if (!isPath && unsigned) throw new OperatorException(ExitCode.Usage, "--unsigned is for a directory or an archive", "leave it out, or name a PATH: ./build");
            if (!isPath && options.VersionOf(parsed) is not null) throw new OperatorException(ExitCode.Usage, "--version is for a directory or an archive", $"leave it out: {argument} is the version");
            var start = new PushStart { App = app, Unsigned = unsigned };
            if (!isPath)
            {
                start.Version = new ReleaseVersion(argument).Text;
                return new PushedBuild(Stores.Open(options.StoreOf(parsed), new Disk(), time), scratch, start);
            }
            var name = new AppName(StoreOptions.Required(app, "--app", "NAME", StoreOptions.AppVariable));
            ReleaseVersion version = Version(options.VersionOf(parsed), argument, unsigned, time, cancellationToken);
            start.Version = version.Text;
            return new PushedBuild(unsigned ? Pack(argument, name, version, scratch, terminal, time, cancellationToken) : await PublishAsync(), scratch, start);

            async Task<IStoreReader> PublishAsync()
            {
                string location = options.StoreOf(parsed);
                PublishResult result = await PublishCommand.PublishAsync(location, options.KeyFileOf(parsed), argument, name, version, terminal, time, cancellationToken);
                start.Version = result.Version.Text;
                return Stores.Open(location, new Disk(), time);
            }
        }
        catch
        {
            scratch.Delete(recursive: true);
            throw;
        }
    }

    /// <summary>Sends a host what it lacks. May be called for several hosts at once.</summary>
    /// <exception cref="OperatorException">It was refused, or the connection broke.</exception>
    public async Task<PushDone> SendAsync(AgentConnection agent, Terminal terminal, CancellationToken cancellationToken)
    {
        var sender = new PushSender(store, start.Unsigned ? s_unsigned : s_signed, scratch.CreateSubdirectory($"sent-{Interlocked.Increment(ref sends)}").FullName);
        try
        {
            return await agent.PushAsync(sender, start, new Sending(terminal, agent.Host.Name), cancellationToken);
        }
        finally
        {
            terminal.Progress("");
        }
    }

    /// <summary>Sends all hosts what they lack, before any of them is told to deploy it. Hosts that cannot be reached are told, and left to whoever goes on.</summary>
    /// <returns>What is pushed.</returns>
    /// <exception cref="OperatorException">A host does not take it, or none can be reached.</exception>
    public async Task<PushDone> SendToAllAsync(HostsCall call, CancellationToken cancellationToken)
    {
        PushDone? pushed = null;
        var failed = new List<HostAnswer<PushDone>>();
        await foreach (HostAnswer<PushDone> answer in FanOut.AskAsync(call, (one, stop) => SendAsync(one.Agent, call.Terminal, stop), _ => 0, cancellationToken))
        {
            if (answer.Error is not null) failed.Add(answer);
            if (answer.Result is not { } done) continue;
            pushed = done;
            if (call.Json) call.Terminal.JsonLine(writer => writer.Object(done, (w, one) => WriteEvent(w, one, answer.Host.Name)));
            else Tell(call.Terminal, done, answer.Host.Name);
        }
        FanOut.TellErrors(call, failed);
        if (failed.Find(answer => pushed is null || answer.Error!.Code != ExitCode.Unreachable) is { Error: { } error } first)
            throw new OperatorException(error.Code, $"{first.Host.Name} did not take what was pushed, so nothing is deployed", "see above", error);
        return pushed!;
    }

    /// <summary>The app, as far as it is known here, the version and what was sent.</summary>
    /// <param name="host">Null: the one that all is about.</param>
    public void Tell(Terminal terminal, PushDone done, string? host = null) => terminal.Line(
        host is null ? "" : $"{host}  ", start.App.Length > 0 ? new Piece(start.App, Tone.Strong) : "",
        $"{(start.App.Length > 0 ? "  " : "")}{done.Version}  pushed{(start.Unsigned ? ", unsigned" : "")}: {Human.Size(done.Received)} sent  {done.Digest}");

    public void Write(Utf8JsonWriter writer, PushDone done)
    {
        writer.Text("app", start.App);
        writer.WriteString("version", done.Version);
        writer.WriteString("digest", Hex(done.Digest));
        writer.WriteBoolean("unsigned", start.Unsigned);
        writer.WriteNumber("received_bytes", done.Received);
    }

    /// <summary>As the first line of a deployment's events.</summary>
    /// <param name="host">Where there are several; else null.</param>
    public void WriteEvent(Utf8JsonWriter writer, PushDone done, string? host)
    {
        if (host is not null) writer.WriteString("host", host);
        writer.WriteNull("at");
        writer.WriteNull("deployment");
        writer.WriteString("event", "pushed");
        writer.Object("details", done, Write);
    }

    public void Dispose()
    {
        (store as IDisposable)?.Dispose();
        scratch.Delete(recursive: true);
    }

    private static string Hex(string digest) => digest[(digest.IndexOf(':', StringComparison.Ordinal) + 1)..];

    private static ReleaseVersion Version(string? typed, string path, bool unsigned, TimeProvider time, CancellationToken cancellationToken)
    {
        if (typed is not null) return new ReleaseVersion(typed);
        if (!Path.Exists(path)) throw new OperatorException(ExitCode.Usage, $"{path} does not exist", "name a directory or a .tar.gz");
        if (ReleaseTree.FindVersion(path, cancellationToken) is { } found) return found;
        // What a developer tries out has no version yet; this one lies below all that are published.
        return unsigned
            ? new ReleaseVersion($"v0.0.0-push.{time.GetUtcNow().ToString("yyyyMMddHHmmss", CultureInfo.InvariantCulture)}")
            : throw new OperatorException(ExitCode.Usage, $"{path} holds no VERSION file, so the version is not known", "add --version v1.2.3");
    }

    private static IStoreReader Pack(string path, AppName app, ReleaseVersion version, DirectoryInfo scratch, Terminal terminal, TimeProvider time, CancellationToken cancellationToken)
    {
        string directory = scratch.CreateSubdirectory("build").FullName;
        try
        {
            UnsignedBuild.Write(new Disk(), path, app, version, directory, scratch.CreateSubdirectory("packing").FullName, new PublishCommand.Packing(terminal), cancellationToken);
        }
        finally
        {
            terminal.Progress("");
        }
        return new DirectoryStore(directory, new Disk(), time);
    }

    private sealed class Sending(Terminal terminal, string host) : IProgress<PushProgress>
    {
        public void Report(PushProgress value) => terminal.Progress($"sending to {host}: {Human.Size(value.Done)} of {Human.Size(value.Total)}");
    }
}
