using Agent.Cli;
using Agent.Tests.Fakes;

namespace Agent.Tests.Cli;

public sealed class DatabaseDownloadTests(FakeHost host) : IClassFixture<FakeHost>, IDisposable
{
    private readonly TemporaryDirectory directory = new();

    private string Dump => Path.Combine(directory.Path, "shop.dump");

    public void Dispose() => directory.Dispose();

    [Fact]
    public async Task The_dump_is_written_for_its_owner_alone()
    {
        Assert.Equal((0, $"wrote {Dump}: shop-12, 14 B; pg_restore --list {Dump}\n"), await RunAsync("db", "download", "-O", Dump));
        Assert.Equal("PGDMP and more", await File.ReadAllTextAsync(Dump, TestContext.Current.CancellationToken));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Dump));
        Assert.Equal([Dump], Directory.GetFiles(directory.Path));
    }

    [Fact]
    public async Task What_is_there_is_left_alone_and_half_a_dump_is_not_left()
    {
        Assert.Equal(5, (await RunAsync("db", "download", "cut", "-O", Dump)).Exit);
        Assert.Empty(Directory.GetFiles(directory.Path));
        directory.Write("shop.dump", "mine");
        Assert.Equal(5, (await RunAsync("db", "download", "-O", Dump)).Exit);
        Assert.Equal("mine", await File.ReadAllTextAsync(Dump, TestContext.Current.CancellationToken));
    }

    private async Task<(int Exit, string Text)> RunAsync(params string[] words)
    {
        using var text = new StringWriter { NewLine = "\n" };
        int exit = await AgentCtl.RunAsync([.. words, "--socket", host.Socket], text, text, TestContext.Current.CancellationToken);
        return (exit, text.ToString());
    }
}
