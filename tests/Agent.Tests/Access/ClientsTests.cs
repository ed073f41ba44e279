using Agent.Artifacts;
using Agent.Daemon.Access;
using Agent.Tests.Artifacts.Trust;
using Agent.Tests.Fakes;
using Microsoft.Extensions.Logging.Abstractions;

namespace Agent.Tests.Access;

public sealed class ClientsTests
{
    private const string File = "/data/clients.json";

    private readonly MemoryDisk disk = new();
    private readonly ManualTime time = new();

    [Fact]
    public void What_was_kept_is_read_again()
    {
        Clients clients = Open();
        clients.Add(Ann);
        clients.Renew("ann", Key('b'));
        Assert.Equal([Ann with { NextFingerprint = Key('b') }], Open().All);
        Assert.Equal("ann", Open().Find(Key('b'))!.Name);
        clients.Remove("ann");
        Assert.Empty(Open().All);
    }

    [Fact]
    public void A_next_key_takes_the_other_ones_place_when_it_calls_and_not_before()
    {
        Clients clients = Open();
        clients.Add(Ann);
        Client known = clients.Find(Key('a'))!;
        clients.Renew("ann", Key('b'));
        Assert.Equal("ann", clients.Called(Key('a'), known)!.Name);
        Assert.Equal("ann", clients.Called(Key('b'), null)!.Name);
        Assert.Equal((Key('b'), null), (Open().All[0].Fingerprint, Open().All[0].NextFingerprint));
        Assert.Null(clients.Find(Key('a')));
        Assert.Null(clients.Called(Key('a'), null));              // a new connection
        Assert.Equal("ann", clients.Called(Key('a'), known)!.Name);   // one that was open
        clients.Remove("ann");
        clients.Add(Ann with { Fingerprint = Key('c'), Since = Ann.Since.AddHours(1) });
        Assert.Null(clients.Called(Key('a'), known));             // another who came by that name
    }

    [Fact]
    public void The_last_call_is_kept_to_some_minutes()
    {
        Clients clients = Open();
        clients.Add(Ann);
        clients.Called(Key('a'), null);
        DateTimeOffset first = time.GetUtcNow();
        time.Advance(TimeSpan.FromMinutes(9));
        clients.Called(Key('a'), null);
        Assert.Equal(first, Open().All[0].LastCall);
        time.Advance(TimeSpan.FromMinutes(2));
        clients.Called(Key('a'), null);
        Assert.Equal(first.AddMinutes(11), Open().All[0].LastCall);
    }

    [Fact]
    public void A_disk_that_fails_lets_nobody_in_and_locks_nobody_out()
    {
        Clients clients = Open();
        clients.Add(Ann);
        disk.EffectsLeft = 0;
        Assert.ThrowsAny<IOException>(() => clients.Add(Ann with { Name = "bob", Fingerprint = Key('b') }));
        Assert.Null(clients.Find(Key('b')));
        Assert.Equal("ann", clients.Called(Key('a'), null)!.Name);
    }

    [Theory]
    [InlineData("""{"clients":[""")]
    [InlineData("[]")]
    [InlineData("""{"clients":[null]}""")]
    [InlineData("""{"clients":[{"name":"../ann","fingerprint":"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","role":"admin","since":"2026-01-01T00:00:00Z","by":"x"}]}""")]
    [InlineData("""{"clients":[{"name":"ann","fingerprint":"aaaa","role":"admin","since":"2026-01-01T00:00:00Z","by":"x"}]}""")]
    [InlineData("""{"clients":[{"name":"ann","fingerprint":"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","role":"root","since":"2026-01-01T00:00:00Z","by":"x"}]}""")]
    public void A_file_that_cannot_be_read_lets_nobody_in_and_is_left_as_it_is(string text)
    {
        disk.Files[File] = System.Text.Encoding.UTF8.GetBytes(text);
        Clients clients = Open();
        Assert.Empty(clients.All);
        Assert.Equal(ExitCode.NeedsOperator, Assert.Throws<OperatorException>(() => clients.CheckFree("bob")).Code);
        Assert.Throws<OperatorException>(() => clients.Add(Ann));
        Assert.Equal(text, System.Text.Encoding.UTF8.GetString(disk.Files[File]));
    }

    [Fact]
    public void Names_and_keys_are_had_once_and_only_so_many()
    {
        Clients clients = Open();
        clients.Add(Ann);
        Assert.Equal(ExitCode.Refused, Assert.Throws<OperatorException>(() => clients.Add(Ann with { Fingerprint = Key('b') })).Code);
        Assert.Equal(ExitCode.Refused, Assert.Throws<OperatorException>(() => clients.Add(Ann with { Name = "bob" })).Code);
        clients.Add(Ann with { Name = "bob", Fingerprint = Key('b') });
        Assert.Equal(ExitCode.Refused, Assert.Throws<OperatorException>(() => clients.Renew("bob", Key('a'))).Code);
        for (int i = clients.All.Count; i < Clients.Most; i++) clients.Add(Ann with { Name = $"n{i}", Fingerprint = $"sha256:{i:x64}" });
        Assert.Equal(ExitCode.Refused, Assert.Throws<OperatorException>(() => clients.CheckFree("one-more")).Code);
    }

    [Theory]
    [InlineData("ann-laptop", true)]
    [InlineData("a", true)]
    [InlineData("Web.1_x", true)]
    [InlineData("", false)]
    [InlineData("-a", false)]
    [InlineData("..", false)]
    [InlineData("a/b", false)]
    [InlineData("a b", false)]
    [InlineData("a\n", false)]
    [InlineData("$(id)", false)]
    [InlineData("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false)]
    public void A_name_is_plain(string name, bool good) => Assert.Equal(good, Clients.IsName(name));

    private static Client Ann { get; } = new("ann", Key('a'), "deployer", new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero), "uid 0 (root)");

    private static string Key(char digit) => "sha256:" + new string(digit, 64);

    private Clients Open()
    {
        disk.MakeDirectory("/data", UnixFileMode.UserRead);
        return new Clients(disk, "/data", time, NullLogger<Clients>.Instance);
    }
}
