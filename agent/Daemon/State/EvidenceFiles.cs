using System.Text.Json;
using System.Text.Json.Serialization;
using Agent.Artifacts;
using Agent.Artifacts.Durable;

namespace Agent.Daemon.State;

/// <summary>Evidence of failed deployments, in <c>DATA/evidence/APP/ID.json</c>: beside the journal, which stays small. Thread-safe.</summary>
internal sealed class EvidenceFiles(IDisk disk, string dataDirectory)
{
    private readonly Lock gate = new();

    /// <summary>What a full disk did not take, by deployment: shown as long as the agent runs. One is enough, the first of a series.</summary>
    private readonly Dictionary<string, Evidence> unsaved = [];

    /// <summary>Keeps it: on the disk, or in memory where that fails.</summary>
    public void Write(AppName app, string deployment, Evidence evidence)
    {
        lock (gate)
        {
            try
            {
                disk.MakeDirectories(DirectoryOf(app), DurableOperations.Mode700);
                disk.WriteAtomic(PathOf(app, deployment), JsonSerializer.SerializeToUtf8Bytes(evidence, EvidenceJson.Default.Evidence), DurableOperations.Mode600);
                unsaved.Remove(deployment);
            }
            catch (IOException)
            {
                if (unsaved.Count > 10) unsaved.Clear();
                unsaved[deployment] = evidence;
            }
        }
    }

    /// <returns>Null: there is none.</returns>
    public Evidence? Read(AppName app, string deployment)
    {
        lock (gate)
        {
            if (unsaved.TryGetValue(deployment, out Evidence? kept)) return kept;
            try
            {
                string path = PathOf(app, deployment);
                return disk.Exists(path) ? JsonSerializer.Deserialize(disk.ReadAll(path), EvidenceJson.Default.Evidence) : null;
            }
            catch (Exception e) when (e is IOException or JsonException)
            {
                return null;
            }
        }
    }

    /// <summary>Removes what belongs to none of these deployments.</summary>
    public void RemoveAllBut(AppName app, IReadOnlySet<string> deployments)
    {
        foreach (string name in disk.List(DirectoryOf(app)))
            if (!deployments.Contains(Path.GetFileNameWithoutExtension(name))) disk.RemoveDurable(Path.Combine(DirectoryOf(app), name));
    }

    private string DirectoryOf(AppName app) => Path.Combine(dataDirectory, "evidence", app.Value);

    private string PathOf(AppName app, string deployment) => Path.Combine(DirectoryOf(app), deployment + ".json");
}

[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(Evidence))]
internal sealed partial class EvidenceJson : JsonSerializerContext;
