using System.IO.Compression;
using System.Text;
using Agent.Artifacts;
using Agent.Artifacts.Manifests;
using Agent.Artifacts.Packs;
using FsCheck;
using FsCheck.Fluent;

namespace Agent.Tests.Artifacts.Manifests;

public class ManifestFormatTests
{
    private static readonly string Hex = Digest.Of("content"u8).Hex, Other = Digest.Of("other"u8).Hex, PackHex = Digest.Of("pack"u8).Hex;
    private static readonly string EmptyHex = Digest.Of(ReadOnlySpan<byte>.Empty).Hex;

    private static string FileEntry(string path) => $$"""{"file":"{{path}}","place":[0,0,10,7,0],"sha256":"{{Hex}}","size":7}""";

    private static string Json(string entries) =>
        $$"""{"app":"shop","entries":[{{entries}}],"format":"agentd-manifest-1","packs":[{"sha256":"{{PackHex}}","size":100}],"version":"v1.0.0"}""";

    private static byte[] Stored(string json) => Stored(Encoding.UTF8.GetBytes(json));

    private static byte[] Stored(byte[] json)
    {
        using var stored = new MemoryStream();
        Brotli.Compress(new MemoryStream(json), stored, 1, CancellationToken.None);
        return stored.ToArray();
    }

    private static OperatorException Refusal(byte[] stored)
    {
        var refusal = Assert.Throws<OperatorException>(() => ManifestFormat.Parse(stored));
        Assert.Equal(ExitCode.Refused, refusal.Code);
        return refusal;
    }

    [Fact]
    public void Reads_what_is_documented()
    {
        string json = Json($$"""
            {"directory":"a"},{"executable":true,"file":"bin/shop","place":[0,5,10,20,3],"sha256":"{{Hex}}","size":7},{"file":"empty","sha256":"{{EmptyHex}}","size":0},{"link":"run","target":"bin/shop"}
            """.Trim());
        Manifest manifest = ManifestFormat.Parse(Stored(json));

        Assert.Equal(
            [
                new ManifestDirectory("a"), new ManifestFile("bin/shop", true, 7, new Digest(Hex), new FramePlace(0, 5, 10, 20, 3)),
                new ManifestFile("empty", false, 0, new Digest(EmptyHex), null), new ManifestLink("run", "bin/shop"),
            ],
            manifest.Files);
        Assert.Equal([new PackReference(new Digest(PackHex), 100)], manifest.Packs);
        Assert.Equal(json, Encoding.UTF8.GetString(Brotli.TryDecompress(ManifestFormat.Serialize(manifest), 10_000, out _)!));
    }

    [Theory]
    [InlineData("/etc/passwd", "is absolute")]
    [InlineData("../shop", "has a '..' segment")]
    [InlineData("a/../../b", "has a '..' segment")]
    [InlineData("./a", "has a '.' segment")]
    [InlineData("a//b", "has an empty segment")]
    [InlineData("a/", "has an empty segment")]
    [InlineData("", "is empty")]
    [InlineData("a\\\\b", "has a backslash")]
    [InlineData("a\\u0000b", "has a control character")]
    [InlineData("a\\nb", "has a control character")]
    [InlineData("a\\u001b[2J", "has a control character")]
    [InlineData(".agentd", "belongs to the agent")]
    [InlineData(".agentd/manifest", "belongs to the agent")]
    public void Refuses_a_path_that_is_not_plain(string path, string reason) => Assert.Contains(reason, Refusal(Stored(Json(FileEntry(path)))).Message);

    [Fact]
    public void Refuses_names_and_paths_that_are_too_long_or_too_deep()
    {
        Assert.Contains("255 bytes", Refusal(Stored(Json(FileEntry(new string('a', 256))))).Message);
        Assert.Contains("255 bytes", Refusal(Stored(Json(FileEntry(new string('ä', 128))))).Message);
        Assert.Contains("4096 bytes", Refusal(Stored(Json(FileEntry(string.Join('/', Enumerable.Repeat(new string('a', 200), 21)))))).Message);
        Assert.Contains("deep", Refusal(Stored(Json(FileEntry(string.Join('/', Enumerable.Repeat("a", 101)))))).Message);
        ManifestFormat.Parse(Stored(Json(FileEntry(new string('a', 255)))));
    }

    [Theory]
    [InlineData("a", "a", "is listed twice")]
    [InlineData("b", "a", "is out of order")]
    [InlineData("a", "a/b", "lies below the file a")]
    [InlineData("a", "a/b/c", "lies below the file a")]
    public void Refuses_a_file_that_is_in_the_way_of_another(string first, string second, string reason) =>
        Assert.Contains(reason, Refusal(Stored(Json($"{FileEntry(first)},{FileEntry(second)}"))).Message);

    [Fact]
    public void Finds_the_file_in_the_way_also_when_others_sort_between()
    {
        // '-' sorts before '/': "a", "a-b", "a/b".
        Assert.Contains("lies below the file a", Refusal(Stored(Json($"{FileEntry("a")},{FileEntry("a-b")},{FileEntry("a/b")}"))).Message);
    }

    [Theory]
    [InlineData("a", "/etc", "is absolute")]
    [InlineData("a", "..", "links out")]
    [InlineData("a/b", "../..", "links out")]
    [InlineData("a/b", "../../a/../..", "links out")]
    [InlineData("a", "", "is empty")]
    [InlineData("a", "x\\\\y", "backslash")]
    [InlineData("a", "x\\u0000", "control character")]
    [InlineData("a", "a", "circle")]
    [InlineData("a", "b/../../x", "links out")]
    public void Refuses_a_link_out_of_the_tree(string path, string target, string reason) =>
        Assert.Contains(reason, Refusal(Stored(Json($$"""{"link":"{{path}}","target":"{{target}}"}"""))).Message);

    [Fact]
    public void Refuses_a_link_out_of_the_tree_through_another_link()
    {
        // By its text a/b/out stays inside; but deep leads to the top, and from there ".." leads out.
        Assert.Contains("through other links", Refusal(Stored(Json("""{"link":"a/b/deep","target":"../.."},{"link":"a/b/out","target":"deep/.."}"""))).Message);
        Assert.Contains("circle", Refusal(Stored(Json("""{"link":"a","target":"b"},{"link":"b","target":"a"}"""))).Message);
        Assert.Contains("lies below the link a", Refusal(Stored(Json($$"""{"link":"a","target":"b"},{{FileEntry("a/x")}}"""))).Message);
        Assert.Contains("lies below the link a", Refusal(Stored(Json("""{"link":"a","target":"b"},{"link":"a/x","target":"y"}"""))).Message);
    }

    [Fact]
    public void Accepts_links_that_stay_inside() =>
        Assert.Equal(3, ManifestFormat.Parse(Stored(Json("""{"link":"a/b/top","target":"../.."},{"link":"a/c","target":"b/top/a"},{"link":"gone","target":"not/there"}"""))).Files.Count);

    [Theory]
    [InlineData("""{"file":"a","mode":"4755","place":[0,0,10,7,0],"sha256":"HEX","size":7}""")]
    [InlineData("""{"executable":false,"file":"a","place":[0,0,10,7,0],"sha256":"HEX","size":7}""")]
    [InlineData("""{"setuid":true,"file":"a","place":[0,0,10,7,0],"sha256":"HEX","size":7}""")]
    [InlineData("""{"device":"a"}""")]
    [InlineData("""{"directory":"a","mode":"1777"}""")]
    [InlineData("""{"link":"a","target":"b","executable":true}""")]
    [InlineData("""{"file":"a","file":"b","place":[0,0,10,7,0],"sha256":"HEX","size":7}""")]
    [InlineData("""{"file":"a","place":[0,0,10,7,0],"sha256":"HEX","size":7,"size":8}""")]
    [InlineData("""{"file":"a","place":[0,0,10,7,0,1],"sha256":"HEX","size":7}""")]
    [InlineData("""{"file":"a","place":[0,0,10,7,0],"sha256":"HEX","size":7.5}""")]
    [InlineData("""{"file":"a","place":[0,0,10,7,0],"sha256":"HEX","size":9223372036854775808}""")]
    [InlineData("""{"file":"a","place":[0,0,10,7,0],"sha256":"HEX","size":-7}""")]
    [InlineData("""{"file":"a\ud800","place":[0,0,10,7,0],"sha256":"HEX","size":7}""")]
    [InlineData("""{"file":null,"place":[0,0,10,7,0],"sha256":"HEX","size":7}""")]
    [InlineData("""{"file":"a","place":[0,0,10,7,0],"sha256":"abc","size":7}""")]
    [InlineData("[]")]
    [InlineData("{}")]
    public void Refuses_what_the_format_does_not_know(string entry) => Refusal(Stored(Json(entry.Replace("HEX", Hex, StringComparison.Ordinal))));

    [Theory]
    [InlineData("[1,0,10,7,0]", 7, "lies in pack 1 of 1")]
    [InlineData("[4294967296,0,10,7,0]", 7, "lies in pack")]
    [InlineData("[0,95,10,7,0]", 7, "outside of its pack")]
    [InlineData("[0,9223372036854775807,10,7,0]", 7, "outside of its pack")]
    [InlineData("[0,0,0,7,0]", 7, "outside of its pack")]
    [InlineData("[0,0,10,6,0]", 7, "outside of its frame")]
    [InlineData("[0,0,10,7,1]", 7, "outside of its frame")]
    [InlineData("[0,0,10,7,9223372036854775807]", 7, "outside of its frame")]
    [InlineData("[0,0,10,2000000,0]", 7, "too large")]
    [InlineData("[0,0,10,68719476737,0]", 68719476737, "impossible size")]
    [InlineData("[0,0,10,7,0]", 0, "is empty and yet")]
    public void Refuses_a_place_that_cannot_be(string place, long size, string reason) =>
        Assert.Contains(reason, Refusal(Stored(Json($$"""{"file":"a","place":{{place}},"sha256":"{{Hex}}","size":{{size}}}"""))).Message);

    [Theory]
    [InlineData("[0,0,10,20,0]", "[0,5,10,20,0]", 7, "overlaps that of")]
    [InlineData("[0,0,10,20,0]", "[0,0,11,20,7]", 7, "disagree about their frame")]
    [InlineData("[0,0,10,20,0]", "[0,0,10,21,7]", 7, "disagree about their frame")]
    [InlineData("[0,0,10,20,0]", "[0,0,10,20,6]", 7, "overlaps a in its frame")]
    [InlineData("[0,0,10,7,0]", "[0,20,10,68719476736,0]", 68719476736, "above 64 GiB")]
    public void Refuses_places_that_cannot_be_together(string first, string second, long size, string reason) =>
        Assert.Contains(reason, Refusal(Stored(Json($$"""{"file":"a","place":{{first}},"sha256":"{{Hex}}","size":7},{"file":"b","place":{{second}},"sha256":"{{Other}}","size":{{size}}}"""))).Message);

    [Fact]
    public void Refuses_one_content_in_two_sizes_or_places()
    {
        string first = $$"""{"file":"a","place":[0,0,10,20,0],"sha256":"{{Hex}}","size":7}""";
        Assert.Contains("another size or place", Refusal(Stored(Json(first + $$""",{"file":"b","place":[0,0,10,20,0],"sha256":"{{Hex}}","size":8}"""))).Message);
        Assert.Contains("another size or place", Refusal(Stored(Json(first + $$""",{"file":"b","place":[0,0,10,20,7],"sha256":"{{Hex}}","size":7}"""))).Message);
        Assert.Contains("another SHA-256", Refusal(Stored(Json($$"""{"file":"a","sha256":"{{Hex}}","size":0}"""))).Message);
        Assert.Contains("has no place", Refusal(Stored(Json($$"""{"file":"a","sha256":"{{Hex}}","size":1}"""))).Message);
    }

    [Fact]
    public void Refuses_bytes_that_are_no_manifest()
    {
        Refusal([]);
        Refusal("hello"u8.ToArray());
        Refusal(Stored("null"));
        Refusal(Stored(Json("") + "{}"));
        Refusal([.. Stored(Json("")), 0]);
        Refusal(Stored(Json(""))[..^1]);
        Refusal(Stored(Json("").Replace("agentd-manifest-1", "agentd-manifest-2", StringComparison.Ordinal)));
        Refusal(Stored(Json("").Replace("shop", "../shop", StringComparison.Ordinal)));
        Refusal(Stored(Json("").Replace("v1.0.0", "../../v1", StringComparison.Ordinal)));
        Refusal(Stored(new string('[', 100_000)));
        byte[] badText = Encoding.UTF8.GetBytes(Json(FileEntry("aXb")));
        badText[Array.IndexOf(badText, (byte)'X')] = 0xC0;
        Assert.Contains("UTF-8", Refusal(Stored(badText)).Message);
    }

    [Fact]
    public void Stops_at_a_bomb()
    {
        using var bomb = new MemoryStream();
        using (var brotli = new BrotliStream(bomb, CompressionLevel.Fastest, leaveOpen: true))
        {
            byte[] zeros = new byte[1 << 20];
            for (int i = 0; i < 200; i++) brotli.Write(zeros);
        }
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Contains("larger than", Refusal(bomb.ToArray()).Message);
        Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 400 << 20);
    }

    [Fact]
    public void Refuses_more_entries_than_a_release_may_have()
    {
        var entries = new StringBuilder();
        for (int i = 0; i <= TreeRules.MaximumEntries; i++) entries.Append(i == 0 ? "" : ",").Append($$"""{"directory":"d{{i:D7}}"}""");
        Assert.Contains("entries", Refusal(Stored(Json(entries.ToString()))).Message);
    }

    [Fact]
    public void A_release_of_entangled_links_is_refused_in_bounded_time()
    {
        // Each link doubles the way through the one before it.
        IEnumerable<string> links = Enumerable.Range(0, 30_000).Select(i => $$"""{"link":"l{{i:D6}}","target":"{{string.Concat(Enumerable.Repeat("d/../", 95))}}l{{Math.Max(0, i - 1):D6}}"}""");
        var started = System.Diagnostics.Stopwatch.StartNew();
        Refusal(Stored(Json(string.Join(',', links))));
        Assert.True(started.Elapsed < TimeSpan.FromSeconds(20), $"took {started.Elapsed}");
    }

    private static Gen<Manifest> Manifests()
    {
        Gen<string> name = Gen.Elements("a", "b", "bin", "lib", "x y", "ü", "quote\"s", ".hidden", "a-b", "😀");
        Gen<string> path = Gen.Choose(1, 4).SelectMany(depth => Gen.ArrayOf(name, depth)).Select(names => string.Join('/', names));
        Gen<(string Path, int Kind, int Size)> entry = path.SelectMany(p => Gen.Choose(0, 9).SelectMany(kind => Gen.Choose(0, 5000).Select(size => (p, kind, size))));
        return Gen.ListOf(entry).Select(list =>
        {
            var entries = new List<ManifestEntry>();
            long offset = 0;
            foreach ((string at, int kind, int size) in list.OrderBy(e => e.Path, StringComparer.Ordinal).DistinctBy(e => e.Path))
            {
                if (entries.Any(e => at.StartsWith(e.Path + "/", StringComparison.Ordinal))) continue;
                Digest digest = Digest.Of(size == 0 ? [] : Encoding.UTF8.GetBytes(at));
                entries.Add(kind switch
                {
                    0 => new ManifestDirectory(at),
                    1 => new ManifestLink(at, "nowhere/in particular"),
                    _ => new ManifestFile(at, kind % 2 == 0, size, digest, size == 0 ? null : new FramePlace(0, offset, 10, size, 0)),
                });
                offset += 10;
            }
            return new Manifest(new AppName("shop"), new ReleaseVersion("v1.2.3-rc.1"), entries, [new PackReference(new Digest(PackHex), offset + 1)]);
        });
    }

    [Fact]
    public void What_is_written_reads_back_the_same() =>
        Prop.ForAll(Manifests().ToArbitrary(), manifest =>
        {
            byte[] stored = ManifestFormat.Serialize(manifest);
            Manifest read = ManifestFormat.Parse(stored);
            return read.Files.SequenceEqual(manifest.Files) && read.Packs.SequenceEqual(manifest.Packs) && read.Version == manifest.Version && read.App == manifest.App
                && ManifestFormat.Serialize(read).AsSpan().SequenceEqual(stored);
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(200));

    [Fact]
    public void Changed_bytes_are_refused_or_give_a_safe_manifest()
    {
        string json = Json($$"""{"directory":"a"},{{FileEntry("bin/shop")}},{"link":"run","target":"bin/shop"},{"link":"up/x","target":"../bin"}""");
        byte[] interesting = [.. "./\\\"[]{},:0919-aA\0\x7f\xff"u8];
        Gen<(int, byte)[]> changes = Gen.Choose(1, 4).SelectMany(count => Gen.ArrayOf(Gen.Choose(0, json.Length - 1).SelectMany(at => Gen.Elements(interesting).Select(b => (at, b))), count));
        Prop.ForAll(changes.ToArbitrary(), these =>
        {
            byte[] bytes = Encoding.UTF8.GetBytes(json);
            foreach ((int at, byte value) in these) bytes[at] = value;
            return IsHandled(Stored(bytes));
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(5000));
        byte[] stored = Stored(json);
        for (int at = 0; at < stored.Length; at++)
        {
            for (int bit = 0; bit < 8; bit++)
            {
                byte[] flipped = [.. stored];
                flipped[at] ^= (byte)(1 << bit);
                Assert.True(IsHandled(flipped));
            }
        }
    }

    // Judged by an oracle of its own: where would each path end up on a disk?
    private static bool IsHandled(byte[] stored)
    {
        Manifest manifest;
        try
        {
            manifest = ManifestFormat.Parse(stored);
        }
        catch (OperatorException e)
        {
            return e.Code == ExitCode.Refused && e.Message.Length > 0 && e.Remedy.Length > 0;
        }
        return manifest.Files.All(entry => Inside(entry.Path) && (entry is not ManifestLink link || Inside(Path.Combine(Path.GetDirectoryName(link.Path)!, link.Target))));

        static bool Inside(string path) => Path.GetFullPath(Path.Combine("/srv/shop", path)) is var full && (full == "/srv/shop" || full.StartsWith("/srv/shop/", StringComparison.Ordinal)) && !path.Contains('\\');
    }
}
