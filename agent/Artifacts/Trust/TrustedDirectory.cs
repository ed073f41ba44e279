using System.Globalization;
using System.Text;
using Agent.Artifacts.Durable;

namespace Agent.Artifacts.Trust;

/// <summary>
/// The trusted metadata on this machine, byte for byte as served: the memory against rollback, so nothing here is ever cleaned away.
/// Beside the <c>*.json</c> of the roles it holds <c>pinned</c> (SHA-256 of the root that the operator gave) and <c>last-seen</c> (a time).
/// </summary>
internal sealed class TrustedDirectory(IDisk disk, string directory)
{
    private readonly string pinned = Path.Combine(directory, "pinned"), lastSeen = Path.Combine(directory, "last-seen");

    /// <summary>Bytes of a role; null when there are none.</summary>
    public byte[]? Read(string role)
    {
        string path = PathOf(role);
        return disk.Exists(path) ? disk.ReadAll(path) : null;
    }

    public void Write(string role, byte[] bytes) => disk.WriteAtomic(PathOf(role), bytes);

    /// <summary>Makes <paramref name="root"/> the beginning of trust here; nothing when it is already.</summary>
    public void Pin(byte[] root)
    {
        string digest = Digest.Of(root).Hex;
        byte[]? current = Read(MetadataFormat.Root);
        if (current is not null)
        {
            // A root that came by rotation replaced the file; the pin still tells which one it began with.
            if (current.AsSpan().SequenceEqual(root) || (disk.Exists(pinned) && disk.ReadText(pinned).Trim() == digest)) return;
            throw new TrustException(TrustFailure.Pinned, $"another root is pinned in {directory}", "give the root that it was set up with, or use another directory to trust another store");
        }
        disk.MakeDirectories(directory);
        disk.WriteAtomic(pinned, digest + "\n");
        Write(MetadataFormat.Root, root);
    }

    /// <summary>The latest time at which a refresh succeeded here; null before the first.</summary>
    public DateTimeOffset? LastSeen
    {
        get
        {
            if (!disk.Exists(lastSeen)) return null;
            return DateTimeOffset.TryParseExact(disk.ReadText(lastSeen).Trim(), MetadataFormat.TimeFormat, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out DateTimeOffset time)
                ? time
                : throw Damaged(lastSeen);
        }
    }

    public void Saw(DateTimeOffset now) => disk.WriteAtomic(lastSeen, Encoding.ASCII.GetBytes(now.UtcDateTime.ToString(MetadataFormat.TimeFormat, CultureInfo.InvariantCulture) + "\n"));

    /// <summary>Reads a role that must be sound here: what cannot be read is damage of this disk, not the store's doing.</summary>
    public Envelope<T>? Read<T>(string role, Func<byte[], string, Envelope<T>> read)
        where T : Signed
    {
        if (Read(role) is not { } bytes) return null;
        try
        {
            return read(bytes, $"{role}.json");
        }
        catch (TrustException e)
        {
            throw Damaged(PathOf(role), e);
        }
    }

    private static TrustException Damaged(string path, Exception? cause = null) =>
        new(TrustFailure.Pinned, $"{path} is damaged, and with it the memory against rollback", "restore it from a backup, or remove it to believe the store's present state", cause);

    private string PathOf(string role) => Path.Combine(directory, StoreLayout.FileName(role));
}
