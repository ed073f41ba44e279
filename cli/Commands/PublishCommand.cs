using System.CommandLine;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Packs;
using Agent.Artifacts.Publishing;
using Agent.Artifacts.Stores;
using Agent.Artifacts.Trust;
using Agent.Cli.Rendering;

namespace Agent.Cli.Commands;

internal static class PublishCommand
{
    public static Verb Create(Verbs verbs)
    {
        var store = new StoreOptions();
        var path = new Argument<string>("PATH") { Description = "a directory, or a .tar.gz" };
        var version = new Option<string?>("--version") { Description = "the version; else what a VERSION file in PATH says", HelpName = "VERSION" };
        var tag = new Option<bool>("--tag") { Description = "the version is what 'git describe --tags' says of the clean tree that you are in" };
        return verbs.Working(
            new Verb("publish", "Packs, signs and uploads a release. It is deployed where a host is told to, or follows a version range, or when it is promoted.",
                "agentctl publish ./build --app shop --version v1.2.0 --store /srv/store --key-file keys.json", "agentctl publish ./build --app shop --tag"),
            [path, version, tag, store.App, store.Store, store.KeyFile],
            async (call, cancellationToken) =>
            {
                string from = call.Parsed.GetRequiredValue(path);
                ReleaseVersion number = await VersionAsync(from, call.Parsed.GetValue(version), call.Parsed.GetValue(tag), cancellationToken);
                return await PublishAsync(call, store, from, number, cancellationToken);
            });
    }

    private static async Task<ReleaseVersion> VersionAsync(string path, string? version, bool tag, CancellationToken cancellationToken)
    {
        if (version is not null && tag) throw new OperatorException(ExitCode.Usage, "--version and --tag are both given", "leave one of them out");
        if (version is not null) return new ReleaseVersion(version);
        if (tag) return await GitVersion.DescribeAsync(Directory.GetCurrentDirectory(), cancellationToken);
        if (!Path.Exists(path)) throw new OperatorException(ExitCode.Usage, $"{path} does not exist", "name a directory or a .tar.gz");
        return ReleaseTree.FindVersion(path, cancellationToken)
            ?? throw new OperatorException(ExitCode.Usage, $"{path} holds no VERSION file, so the version is not known", "add --version v1.2.3, or --tag for the one that git knows");
    }

    private static async Task<int> PublishAsync(Call call, StoreOptions store, string path, ReleaseVersion version, CancellationToken cancellationToken)
    {
        AppName app = store.AppOf(call);
        Tell(call, app, await PublishAsync(store.StoreOf(call.Parsed), store.KeyFileOf(call.Parsed), path, app, version, call.Terminal, call.Time, cancellationToken));
        return 0;
    }

    /// <summary>Publishes into the store at a location, with the keys of a file, to which those of a new app are added.</summary>
    /// <exception cref="OperatorException">As <see cref="Publisher.PublishAsync"/>; the store cannot be written, or the keys do not do.</exception>
    public static async Task<PublishResult> PublishAsync(
        string location, string keyFile, string path, AppName app, ReleaseVersion version, Terminal terminal, TimeProvider time, CancellationToken cancellationToken)
    {
        IStoreWriter store = Stores.OpenWriter(location, new Disk(), time);
        KeyFile file = KeyFile.Read(keyFile);
        KeyFile keys = file.WithApp(app);
        if (!ReferenceEquals(keys, file)) keys.Write(new Disk(), keyFile);   // before anything is signed with them
        DirectoryInfo scratch = Directory.CreateTempSubdirectory("agentctl-");
        try
        {
            using var repository = new TrustRepository(store, keys, new Disk(), StoreOptions.MemoryDirectory, time);
            var publisher = new Publisher(store, repository, new Disk(), scratch.FullName, time);
            return await publisher.PublishAsync(path, app, version, new Packing(terminal), cancellationToken);
        }
        finally
        {
            terminal.Progress("");
            scratch.Delete(recursive: true);
        }
    }

    private static void Tell(Call call, AppName app, PublishResult result)
    {
        if (call.Json)
        {
            call.Terminal.Document(writer => writer.Object(result, (w, r) =>
            {
                w.WriteString("app", app.Value);
                w.WriteString("version", r.Version.Text);
                w.WriteString("digest", r.Digest.Hex);
                w.WriteNumber("files", r.Files);
                w.WriteNumber("size_bytes", r.TotalSize);
                w.WriteNumber("uploaded_bytes", r.UploadedBytes);
                w.WriteBoolean("already_there", r.AlreadyThere);
            }));
            return;
        }
        call.Terminal.Progress("");
        call.Terminal.Line(result.AlreadyThere
            ? $"{app} {result.Version}  is published already, with the same content  {result.Digest.Short}"
            : $"{app} {result.Version}  {result.Files} files, {Human.Size(result.TotalSize)}; {Human.Size(result.UploadedBytes)} uploaded  {result.Digest.Short}");
    }

    /// <summary>How far the packing is, for people.</summary>
    public sealed class Packing(Terminal terminal) : IProgress<(long Done, long Total)>
    {
        public void Report((long Done, long Total) value) => terminal.Progress($"packing {Human.Size(value.Done)} of {Human.Size(value.Total)}");
    }
}
