using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Agent.Artifacts.Durable;

namespace Agent.Artifacts.Trust;

/// <summary>How long a signature of each role is good for.</summary>
/// <param name="Promote">Of a channel's role.</param>
/// <param name="Timestamp">30 days where only a publish or promote renews it; 7 where something refreshes it on a schedule.</param>
internal sealed record RoleLives(TimeSpan Root, TimeSpan Targets, TimeSpan Release, TimeSpan Promote, TimeSpan Snapshot, TimeSpan Timestamp)
{
    public static RoleLives Default { get; } = new(
        TimeSpan.FromDays(365), TimeSpan.FromDays(365), TimeSpan.FromDays(180), TimeSpan.FromDays(30), TimeSpan.FromDays(30), TimeSpan.FromDays(30));
}

/// <summary>
/// The private keys of a publisher, the lives that it signs for, and the root that it pinned, in one JSON file of mode 600. It may hold all
/// keys of a store or only some: CI gets a file with the release key and the online key.
/// </summary>
/// <param name="Root">The store's first <c>root.json</c>: what hosts pin, and what the publisher itself believes the store by.</param>
internal sealed record KeyFile(ImmutableArray<SigningKey> Keys, RoleLives Lives, byte[] Root)
{
    private const string RootPurpose = "root";

    private const int Format = 1, SizeLimit = 4 * 1024 * 1024;

    private const UnixFileMode OthersMode = UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.GroupExecute
        | UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;

    /// <summary>Fresh keys for a new store, root (also of top-level targets) and online (snapshot and timestamp), and the root that names them. Write it before the store is touched.</summary>
    public static KeyFile Generate(RoleLives lives, TimeProvider time)
    {
        SigningKey root = SigningKey.Generate(RootPurpose), online = SigningKey.Generate("online");
        return new KeyFile([root, online], lives, MetadataWriter.Sign(MetadataWriter.NewRoot(root, online, lives.Root, time), [root]));
    }

    /// <summary>Adds the release key and the promote key of an app. Write it before the store is touched.</summary>
    /// <returns>The same file where they are in it, or where it holds no root key and so could not delegate to them.</returns>
    public KeyFile WithApp(AppName app)
    {
        if (Find(RootPurpose) is null) return this;
        string[] missing = [.. new[] { ReleasePurpose(app), PromotePurpose(app) }.Where(purpose => Find(purpose) is null)];
        return missing.Length == 0 ? this : this with { Keys = Keys.AddRange(missing.Select(SigningKey.Generate)) };
    }

    public SigningKey? Find(string purpose) => Keys.FirstOrDefault(key => key.Purpose == purpose);

    /// <summary>Those of the keys that may sign for a role.</summary>
    /// <exception cref="OperatorException"><see cref="ExitCode.Refused"/>: they are fewer than the role's threshold.</exception>
    public IReadOnlyList<SigningKey> For(string role, RoleKeys signers)
    {
        IReadOnlyList<SigningKey> held = [.. Keys.Where(key => signers.KeyIds.Contains(key.KeyId))];
        return held.Count >= signers.Threshold ? held : throw new OperatorException(ExitCode.Refused,
            $"the key file holds {held.Count} of the {signers.Threshold} keys that must sign '{role}'", "use the key file that holds them");
    }

    public static string ReleasePurpose(AppName app) => $"release {app}";

    public static string PromotePurpose(AppName app) => $"promote {app}";

    /// <exception cref="OperatorException"><see cref="ExitCode.Usage"/>: it cannot be read, is open to others, or is no key file.</exception>
    public static KeyFile Read(string path)
    {
        try
        {
            using FileStream file = File.OpenRead(path);
            if ((File.GetUnixFileMode(file.SafeFileHandle) & OthersMode) != 0)
                throw new OperatorException(ExitCode.Usage, $"{path} can be read or changed by others", $"run 'chmod 600 {path}', and make new keys if others may have read it");
            if (file.Length > SizeLimit) throw new FormatException("it is too large");
            var bytes = new byte[file.Length];
            file.ReadExactly(bytes);
            return Parse(JsonNode.Parse(bytes) as JsonObject ?? throw new FormatException("it is no JSON object"));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new OperatorException(ExitCode.Usage, $"the key file {path} cannot be read: {e.Message}", "name the file that 'agentctl store init' wrote", e);
        }
        catch (Exception e) when (e is JsonException or FormatException or InvalidOperationException or CryptographicException or ArgumentException)
        {
            throw new OperatorException(ExitCode.Usage, $"{path} is not a key file: {e.Message}", "name the file that 'agentctl store init' wrote", e);
        }
    }

    /// <summary>Replaces the file, mode 600.</summary>
    public void Write(IDisk disk, string path)
    {
        var keys = new JsonArray([.. Keys.Select(key => new JsonObject { ["purpose"] = key.Purpose, ["pkcs8"] = Convert.ToBase64String(key.Pkcs8) })]);
        var file = new JsonObject
        {
            ["format"] = Format,
            ["days"] = new JsonObject
            {
                ["root"] = Lives.Root.TotalDays,
                ["targets"] = Lives.Targets.TotalDays,
                ["release"] = Lives.Release.TotalDays,
                ["promote"] = Lives.Promote.TotalDays,
                ["snapshot"] = Lives.Snapshot.TotalDays,
                ["timestamp"] = Lives.Timestamp.TotalDays,
            },
            ["keys"] = keys,
            ["root"] = Encoding.UTF8.GetString(Root),
        };
        disk.WriteAtomic(path, file.ToJsonString(new JsonSerializerOptions { WriteIndented = true }) + "\n", DurableOperations.Mode600);
    }

    private static KeyFile Parse(JsonObject file)
    {
        if (Required(file, "format").GetValue<int>() != Format) throw new FormatException("it is of another format");
        JsonObject days = Required(file, "days").AsObject();
        return new KeyFile(
            [.. Required(file, "keys").AsArray().Select(key => new SigningKey(Text(key, "purpose"), Convert.FromBase64String(Text(key, "pkcs8"))))],
            new RoleLives(Days("root"), Days("targets"), Days("release"), Days("promote"), Days("snapshot"), Days("timestamp")),
            Encoding.UTF8.GetBytes(Text(file, "root")));

        TimeSpan Days(string role)
        {
            double life = Required(days, role).GetValue<double>();
            return life is > 0 and <= 36500 ? TimeSpan.FromDays(life) : throw new FormatException($"days.{role} is {life}");
        }

        static string Text(JsonNode? parent, string name) => Required(parent, name).GetValue<string>();

        static JsonNode Required(JsonNode? parent, string name) => (parent as JsonObject)?[name] ?? throw new FormatException($"'{name}' is missing");
    }
}
