using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Manifests;
using Agent.Artifacts.Packs;

namespace Agent.Tests.Artifacts.Packs;

public sealed class PackWriterTests : IDisposable
{
    private readonly Scratch scratch = new();
    private readonly Disk disk = new();

    public void Dispose() => scratch.Dispose();

    private static TreeFile Entry(string path, byte[] content) => new(path, false, content.Length, Digest.Of(content), () => new MemoryStream(content));

    private static byte[] Noise(int size, int seed)
    {
        byte[] bytes = new byte[size];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    private static byte[] Words(int size, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, size).Select(_ => (byte)"abcdef \n"[random.Next(8)])];
    }

    private WrittenPack? Write(string name, params TreeFile[] files) =>
        new PackWriter(disk, scratch.MakeDirectory("frames")).Write(scratch[name], files, new Progress<long>(), CancellationToken.None);

    private byte[] Extract(string pack, TreeFile file, FramePlace place)
    {
        byte[] bytes = File.ReadAllBytes(scratch[pack]);
        var entry = new ManifestFile(file.Path, false, file.Size, file.Sha256, place);
        FrameReader.Extract(disk, new MemoryStream(bytes, (int)place.Offset, (int)place.Length), [entry], _ => scratch["out"], CancellationToken.None);
        return File.ReadAllBytes(scratch["out"]);
    }

    [Fact]
    public void What_is_packed_comes_out_again()
    {
        TreeFile[] files =
        [
            Entry("a/1", Words(10, 1)), Entry("a/2", Words(15_000, 2)), Entry("b/large", Words(100_000, 3)), Entry("b/noise", Noise(300_000, 4)),
            Entry("c/huge", Words(5_000_000, 5)), Entry("c/tiny", Words(1, 6)), Entry("empty", []),
        ];
        WrittenPack pack = Write("pack", files)!;

        foreach (TreeFile file in files.Where(file => file.Size > 0))
            Assert.Equal(file.Sha256, Digest.Of(Extract("pack", file, pack.Places[file.Sha256])));
        Assert.Equal(new FileInfo(scratch["pack"]).Length, pack.Reference.Size);
        Assert.Equal(Digest.Of(File.ReadAllBytes(scratch["pack"])), pack.Reference.Sha256);
        Assert.Empty(Directory.GetFiles(scratch["frames"]));
        // Also by the rules of those who read it.
        Assert.Null(FrameRules.Problem([.. files.Select(file => new ManifestFile(file.Path, false, file.Size, file.Sha256, pack.Places.GetValueOrDefault(file.Sha256)))], [pack.Reference]));
        // Noise grows by next to nothing.
        Assert.True(pack.Places[files[3].Sha256].Length < 300_000 + 100);
    }

    [Fact]
    public void The_same_files_give_the_same_bytes_in_any_order()
    {
        TreeFile[] files = [.. Enumerable.Range(0, 60).Select(i => Entry($"d{i % 7}/f{i}", Words(1000 * i, i)))];
        Write("one", files);
        Write("two", [.. files.Reverse()]);
        Assert.Equal(File.ReadAllBytes(scratch["one"]), File.ReadAllBytes(scratch["two"]));
    }

    [Fact]
    public void Small_files_share_frames_and_the_same_content_is_packed_once()
    {
        byte[] same = Words(9000, 1000);
        TreeFile[] files = [.. Enumerable.Range(0, 100).Select(i => Entry($"d/{i:D3}", i % 2 == 0 ? same : Words(9000, i)))];
        WrittenPack pack = Write("pack", files)!;
        Assert.Equal(51, pack.Places.Count);
        Assert.Equal(2, pack.Places.Values.Select(place => place.Offset).Distinct().Count());
        Assert.All(pack.Places.Values, place => Assert.True(place.FrameSize <= 256 << 10));
    }

    [Fact]
    public void Nothing_to_pack_is_no_pack()
    {
        Assert.Null(Write("pack", Entry("empty", [])));
        Assert.False(File.Exists(scratch["pack"]));
    }

    [Theory]
    [InlineData(100)]
    [InlineData(100_000)]
    public void Refuses_a_file_that_changed_since_it_was_read(int size)
    {
        byte[] before = Words(size, 1);
        foreach (byte[] after in new[] { Words(size, 2), before[..^1], [.. before, 0] })
        {
            var changed = new TreeFile("a", false, size, Digest.Of(before), () => new MemoryStream(after));
            Assert.Equal(ExitCode.Refused, Assert.Throws<OperatorException>(() => Write("pack", Entry("other", Words(50_000, 3)), changed)).Code);
        }
    }

    [Fact]
    public void A_changed_byte_in_a_frame_is_refused_and_lays_out_nothing()
    {
        TreeFile file = Entry("a", Words(3_000, 1));
        FramePlace place = Write("pack", file)!.Places[file.Sha256];
        byte[] good = File.ReadAllBytes(scratch["pack"]);
        int wrong = 0;
        for (int at = 0; at < good.Length; at++)
        {
            byte[] bad = [.. good];
            bad[at] ^= 0x10;
            File.WriteAllBytes(scratch["pack"], bad);
            try
            {
                // What does not matter to Brotli may pass, with the right content only.
                Assert.Equal(file.Sha256, Digest.Of(Extract("pack", file, place)));
            }
            catch (InvalidDataException)
            {
                wrong++;
                Assert.False(File.Exists(scratch["out"]));
            }
            File.Delete(scratch["out"]);
        }
        Assert.True(wrong > good.Length * 9 / 10);
    }

    [Fact]
    public void A_frame_that_swells_is_stopped_at_its_size()
    {
        TreeFile file = Entry("a", new byte[50_000_000]);
        FramePlace place = Write("pack", file)!.Places[file.Sha256];
        var lie = new ManifestFile("a", false, 2_000_000, file.Sha256, place with { FrameSize = 2_000_000 });
        using FileStream frame = File.OpenRead(scratch["pack"]);
        Assert.Throws<InvalidDataException>(() => FrameReader.Extract(disk, frame, [lie], _ => scratch["out"], CancellationToken.None));
        Assert.False(File.Exists(scratch["out"]));
        Assert.All(Directory.GetFiles(scratch.Root), left => Assert.True(new FileInfo(left).Length <= 2_000_000));
    }
}
