using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Protos.Access;

namespace Agent.Cli.Hosts;

/// <summary>What is known of an agent's key.</summary>
/// <param name="Fingerprint">Of the key that it shows.</param>
/// <param name="Next">Of the key that it will show next; null: it has told of none.</param>
/// <param name="Pin">What hosts.yaml said when this was learnt; null: nothing, it was paired.</param>
internal sealed record KnownAgent(string Fingerprint, string? Next = null, string? Pin = null);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, RespectRequiredConstructorParameters = true, RespectNullableAnnotations = true)]
[JsonSerializable(typeof(KnownAgent))]
internal sealed partial class KnownAgentJson : JsonSerializerContext;

/// <summary>
/// The keys of whoever calls agentctl, below <c>~/.config/agentctl</c>: <c>keys/key.pem</c>, one for all hosts, and <c>keys/next.pem</c> while it changes (mode 600);
/// and a file in <c>known_agents</c> for each agent that was paired.
/// </summary>
/// <param name="directory">~/.config/agentctl.</param>
internal sealed class KeyFiles(string directory)
{
    private readonly Disk disk = new();

    private string KeyPath => Path.Combine(directory, "keys", "key.pem");

    private string NextPath => Path.Combine(directory, "keys", "next.pem");

    private string AgentsDirectory => Path.Combine(directory, "known_agents");

    public static KeyFiles OfProcess() => new(Workplace.OfProcess().Configuration);

    /// <returns>The key to call with; null: there is none yet.</returns>
    /// <exception cref="OperatorException">It cannot be used, or others may read it.</exception>
    public OwnKey? Key() => Read(KeyPath);

    /// <inheritdoc cref="Key"/>
    public OwnKey KeyOrNew() => ReadOrMake(KeyPath);

    /// <summary>The key to call with from some moment on; made where there is none, and the same again until <see cref="ChangeOver"/>.</summary>
    public OwnKey NextKey() => ReadOrMake(NextPath);

    /// <summary>The next key takes the place of the one before, in one step.</summary>
    public void ChangeOver()
    {
        disk.Rename(NextPath, KeyPath);
        disk.SyncDirectory(Path.GetDirectoryName(KeyPath)!);
    }

    /// <returns>Null: it was never paired.</returns>
    public KnownAgent? Agent(HostAddress.Tls address)
    {
        string path = PathOf(address);
        try
        {
            return disk.Exists(path) ? JsonSerializer.Deserialize(disk.ReadAll(path), KnownAgentJson.Default.KnownAgent) : null;
        }
        catch (JsonException e)
        {
            throw new OperatorException(ExitCode.Usage, $"{path} cannot be read: {e.Message}", $"restore it; or remove it, and pair again: agentctl pair {address}", e);
        }
    }

    public void Keep(HostAddress.Tls address, KnownAgent agent)
    {
        disk.MakeDirectories(AgentsDirectory, DurableOperations.Mode700);
        disk.WriteAtomic(PathOf(address), JsonSerializer.SerializeToUtf8Bytes(agent, KnownAgentJson.Default.KnownAgent), DurableOperations.Mode600);
    }

    public void Forget(HostAddress.Tls address) => disk.RemoveDurable(PathOf(address));

    /// <summary>Every agent that was paired.</summary>
    public IReadOnlyList<HostAddress.Tls> Agents() =>
        [.. disk.List(AgentsDirectory).Where(name => !name.EndsWith(DurableOperations.TemporarySuffix, StringComparison.Ordinal)).Order(StringComparer.Ordinal)
            .Select(name => HostAddress.Parse($"https://{name}")).OfType<HostAddress.Tls>()];

    // A host's name has no slash, and with its port it is neither '.' nor '..'.
    private string PathOf(HostAddress.Tls address) => Path.Combine(AgentsDirectory, address.ToString()["https://".Length..].ToLowerInvariant());

    private OwnKey? Read(string path)
    {
        if (disk.Status(path) is not { } status) return null;
        if ((status.Mode & ~DurableOperations.Mode700) != 0) throw new OperatorException(ExitCode.Refused, $"{path} may be read by others", $"chmod 600 {path}; where somebody may have read it: agentctl pair --renew");
        try
        {
            return OwnKey.Parse(disk.ReadText(path));
        }
        catch (CryptographicException e)
        {
            throw new OperatorException(ExitCode.Usage, $"{path} cannot be used: {e.Message}", "restore it; or move it away, and pair again with every host", e);
        }
    }

    private OwnKey ReadOrMake(string path)
    {
        if (Read(path) is { } key) return key;
        OwnKey made = OwnKey.Create();
        disk.MakeDirectories(Path.GetDirectoryName(path)!, DurableOperations.Mode700);
        disk.WriteAtomic(path, made.ToPem(), DurableOperations.Mode600);
        return made;
    }
}
