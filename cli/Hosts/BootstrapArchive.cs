using System.Formats.Tar;
using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Agent.Artifacts;

namespace Agent.Cli.Hosts;

/// <summary>What a host gets: a tar archive with the package, its configuration where it is to have one, and the SHA-256 of each.</summary>
internal sealed class BootstrapArchive
{
    public const string Package = "agentd.deb", Configuration = "agentd.yaml", Root = "root.json", Sums = "SHA256SUMS";

    private readonly string package;
    private readonly IReadOnlyList<(string Name, byte[] Content)> small;

    private BootstrapArchive(string package, IReadOnlyList<(string Name, byte[] Content)> small)
    {
        this.package = package;
        this.small = small;
        Size = new FileInfo(package).Length;
    }

    /// <summary>Bytes of the package, which is all but nothing of it.</summary>
    public long Size { get; }

    /// <param name="package">A .deb file.</param>
    /// <param name="store">A URL, or an absolute directory on the host; null: what the host has.</param>
    /// <param name="root">A file; goes with <paramref name="store"/>.</param>
    /// <exception cref="OperatorException">A file cannot be used (<see cref="ExitCode.Usage"/>).</exception>
    public static BootstrapArchive Make(string package, string? store, string? root)
    {
        var small = new List<(string, byte[])>();
        if ((store is null) != (root is null))
            throw new OperatorException(ExitCode.Usage, "--store and --root go together: a host believes what the keys of its root.json sign", "add the other one, or leave both out where the host is configured already");
        if (store is not null && root is not null)
        {
            small.Add((Configuration, Encoding.UTF8.GetBytes($"store: {Quoted(Checked(store))}\n")));
            small.Add((Root, CheckedRoot(root)));
        }
        byte[] start = new byte[8], sum;
        using (FileStream content = Open(package))
        {
            content.ReadAtLeast(start, start.Length, throwOnEndOfStream: false);
            if (!start.AsSpan().SequenceEqual("!<arch>\n"u8)) throw new OperatorException(ExitCode.Usage, $"{package} is no Debian package", "make one: ./install.sh --package agentd.deb");
            content.Position = 0;
            sum = SHA256.HashData(content);
        }
        IEnumerable<string> sums = small.Select(file => Line(SHA256.HashData(file.Item2), file.Item1)).Append(Line(sum, Package));
        return new BootstrapArchive(package, [(Sums, Encoding.UTF8.GetBytes(string.Concat(sums))), .. small]);
    }

    /// <summary>Writes it; the package comes last.</summary>
    public async Task WriteAsync(Stream to, CancellationToken cancellationToken)
    {
        await using var tar = new TarWriter(to, TarEntryFormat.Ustar, leaveOpen: true);
        foreach ((string name, byte[] content) in small) await WriteAsync(tar, name, new MemoryStream(content), cancellationToken);
        await using FileStream file = Open(package);
        await WriteAsync(tar, Package, file, cancellationToken);
    }

    private static async Task WriteAsync(TarWriter tar, string name, Stream content, CancellationToken cancellationToken) => await tar.WriteEntryAsync(
        new UstarTarEntry(TarEntryType.RegularFile, name) { DataStream = content, Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead },
        cancellationToken);

    private static FileStream Open(string path)
    {
        try
        {
            return File.OpenRead(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new OperatorException(ExitCode.Usage, $"{path} cannot be read: {e.Message.TrimEnd('.')}", "make the package: ./install.sh --package agentd.deb", e);
        }
    }

    private static string Checked(string store) =>
        (Uri.TryCreate(store, UriKind.Absolute, out Uri? url) && url.Scheme is "http" or "https") || (store.StartsWith('/') && !store.Any(char.IsControl))
            ? store
            : throw new OperatorException(ExitCode.Usage, $"'{store}' is no store", "name an http:// or https:// URL, or an absolute directory on the host");

    // Only that it is what it should be; the host looks inside.
    private static byte[] CheckedRoot(string path)
    {
        try
        {
            byte[] content = File.ReadAllBytes(path);
            using JsonDocument document = JsonDocument.Parse(content);
            if (document.RootElement.GetProperty("signed").GetProperty("_type").GetString() == "root") return content;
            throw new OperatorException(ExitCode.Usage, $"{path} is not the metadata of a root", "name the root.json that agentctl store init has written");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw new OperatorException(ExitCode.Usage, $"{path} is no root.json: {e.Message.TrimEnd('.')}", "name the root.json that agentctl store init has written", e);
        }
    }

    // A JSON string is a YAML string.
    private static string Quoted(string text) => $"\"{JavaScriptEncoder.UnsafeRelaxedJsonEscaping.Encode(text)}\"";

    private static string Line(byte[] sum, string name) => $"{Convert.ToHexStringLower(sum)}  {name}\n";
}
