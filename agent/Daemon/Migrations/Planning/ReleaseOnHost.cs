using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Manifests;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Releases;
using Agent.Daemon.State;
using IConfiguration = Agent.Daemon.Configuration.IConfiguration;

namespace Agent.Daemon.Migrations.Planning;

/// <summary>The parts of a release that say how it migrates, on this host for as long as they are looked at.</summary>
internal sealed class ReadableRelease(DatabaseUser release, Action end) : IDisposable
{
    public DatabaseUser Release => release;

    public void Dispose() => end();
}

/// <summary>Gets at a release's migrations: where it is laid out, or else among the downloads. Nothing that runs sees it.</summary>
internal sealed class ReleaseOnHost(DeploymentEngine engine, IConfiguration configuration, IArtifactSource source, InstalledReleases installed, IDisk disk)
{
    /// <param name="mayFetch">Who asks may have it fetched, which takes room, and keeps deployments of the app waiting meanwhile.</param>
    /// <exception cref="OperatorException">It is not on this host, and may not or cannot be fetched now; or its agent.yaml is wrong.</exception>
    public async Task<ReadableRelease> OpenAsync(AppName app, ReleaseRef wanted, string by, bool mayFetch, IWorkProgress messages, CancellationToken cancellationToken)
    {
        if (installed.Holds(app, wanted))
        {
            AppDefinition definition = configuration.Define(app, installed.ReadText(app, wanted.Version, "agent.yaml"));
            return new ReadableRelease(new DatabaseUser(wanted.Version, installed.ReleaseDirectory(app, wanted.Version), definition), static () => { });
        }
        if (!mayFetch) throw new OperatorException(ExitCode.Refused, $"{app} {wanted.Version} is not on this host, and only a deployer may have it fetched", "ask a deployer for the plan, or look at it once it is on this host");
        IDisposable turn = engine.TakeTurn(app, by);   // a deployment fetches into the same place, and sweeps it
        try
        {
            messages.Report($"fetching {wanted.Version}");
            string[] others = [.. installed.List(app).Select(release => installed.ReleaseDirectory(app, release.Version))];
            FetchedRelease fetched = await source.FetchAsync(new ReleaseId(app, new ReleaseVersion(wanted.Version), new Digest(wanted.Digest)), others, new Telling(messages, $"fetching {wanted.Version}"), cancellationToken);
            string directory = Path.Combine(configuration.Agent.Data, "downloads", app.Value, "plan");
            DatabaseUser release = LayOut(app, fetched, directory);
            return new ReadableRelease(release, () =>
            {
                disk.RemoveTree(directory);
                turn.Dispose();
            });
        }
        catch
        {
            turn.Dispose();
            throw;
        }
    }

    // Its agent.yaml, its manifest, and the directory of its migrations.
    private DatabaseUser LayOut(AppName app, FetchedRelease fetched, string directory)
    {
        disk.RemoveTree(directory);
        disk.MakeDirectories(Path.Combine(directory, ".agentd"), DurableOperations.Mode700);
        disk.LinkOrCopy(fetched.ManifestPath, Path.Combine(directory, ".agentd", "manifest"), DurableOperations.Mode600);
        ManifestFile? yaml = fetched.Manifest.Files.OfType<ManifestFile>().FirstOrDefault(file => file.Path == "agent.yaml");
        string? text = yaml is null ? null : yaml.Size == 0 ? "" : disk.ReadText(fetched.Objects[FetchedRelease.ObjectKey(yaml)]);
        AppDefinition definition = configuration.Define(app, text);
        string below = string.Join('/', (definition.Migrations?.Directory ?? "").Split('/', StringSplitOptions.RemoveEmptyEntries).Where(segment => segment != "."));
        foreach (ManifestFile file in fetched.Manifest.Files.OfType<ManifestFile>().Where(file => below.Length > 0 && file.Path.StartsWith(below + "/", StringComparison.Ordinal)))
        {
            string path = Path.Combine(directory, file.Path);
            disk.MakeDirectories(Path.GetDirectoryName(path)!, DurableOperations.Mode700);
            if (file.Size == 0) disk.WriteFile(path, DurableOperations.Mode600, static _ => { });
            else disk.LinkOrCopy(fetched.Objects[FetchedRelease.ObjectKey(file)], path, DurableOperations.Mode600);
        }
        return new DatabaseUser(fetched.Id.Version.Text, directory, definition);
    }

    private sealed class Telling(IWorkProgress messages, string what) : IProgress<TransferProgress>
    {
        public void Report(TransferProgress value) => messages.Report(what, value.Done, value.Total);
    }
}
