using Agent.Artifacts;
using Agent.Cli.Hosts;
using Agent.Daemon.Access;
using Agent.Protos.Access;
using Agent.V1;
using Microsoft.Extensions.DependencyInjection;

namespace Agent.Tests.Api;

/// <summary>Keys change while callers go on calling.</summary>
public sealed class KeyRotationTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_callers_key_changes_without_a_call_that_fails()
    {
        await using TlsRoom room = await TlsRoom.StartAsync();
        KeyFiles ann = await room.PairAsync("ann-laptop");
        string before = Key(ann);
        AgentConnection open = room.Connect(ann);
        await VersionAsync(open);
        await using (var calling = new Calling(() => room.Connect(ann)))
        {
            KeyRenewal.Result result = await RenewAsync(room, ann);
            Assert.True(result.ChangedOver);
            await calling.MoreAsync();
        }
        Assert.NotEqual(before, Key(ann));
        Agent.Daemon.Access.Client client = Assert.Single(Clients(room).All);
        Assert.Equal((Key(ann), null), (client.Fingerprint, client.NextFingerprint));
        await VersionAsync(open);    // made with the key before

        var old = room.Machine("thief");
        File.Copy(Path.Combine(room.Directory.Path, "old.pem"), Path.Combine(Directory.CreateDirectory(Path.Combine(room.Directory.Path, "thief/keys")).FullName, "key.pem"));
        old.Keep(room.Address, ann.Agent(room.Address)!);
        Assert.Equal(ExitCode.Refused, (await Assert.ThrowsAsync<OperatorException>(() => VersionAsync(room.Connect(old)))).Code);
    }

    [Fact]
    public async Task A_renewal_that_breaks_off_leaves_a_key_that_works_everywhere_and_goes_on_later()
    {
        await using TlsRoom room = await TlsRoom.StartAsync();
        KeyFiles ann = await room.PairAsync("ann-laptop");
        string before = Key(ann);
        var gone = new HostAddress.Tls("127.0.0.1", 1);
        ann.Keep(gone, new KnownAgent("sha256:" + new string('0', 64)));
        KeyRenewal.Result broken = await RenewAsync(room, ann);
        Assert.False(broken.ChangedOver);
        Assert.Equal((ExitCode.Unreachable, gone), (broken.Exit, broken.Failed.Single().Address));
        Assert.Equal(before, Key(ann));
        await VersionAsync(room.Connect(ann));
        Assert.Equal(broken.Key, Assert.Single(Clients(room).All).NextFingerprint);

        KeyRenewal.Result whole = await RenewAsync(room, ann, skipFailed: true);
        Assert.Equal([room.Address], ann.Agents());
        Assert.True(whole.ChangedOver);
        Assert.Equal((broken.Key, broken.Key), (whole.Key, Key(ann)));
        await VersionAsync(room.Connect(ann));
    }

    [Fact]
    public async Task The_agents_key_changes_without_a_call_that_fails()
    {
        await using TlsRoom room = await TlsRoom.StartAsync();
        KeyFiles ann = await room.PairAsync("ann-laptop"), late = await room.PairAsync("late-laptop");
        AgentIdentity identity = room.Api.Services.GetRequiredService<AgentIdentity>();
        string before = identity.Shown.Fingerprint;
        await using (var calling = new Calling(() => room.Connect(ann)))
        {
            identity.MakeNext();
            await calling.MoreAsync();
            Assert.Equal(identity.Shown.Next, ann.Agent(room.Address)!.Next);
            identity.ChangeOver();
            await calling.MoreAsync();
        }
        Assert.NotEqual(before, identity.Shown.Fingerprint);
        Assert.Equal(new KnownAgent(identity.Shown.Fingerprint), ann.Agent(room.Address));
        // Who did not call in between cannot know whose key this is.
        Assert.Contains("another key than before", (await Assert.ThrowsAsync<OperatorException>(() => VersionAsync(room.Connect(late)))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_agents_keys_outlive_it_and_a_power_cut_between_the_halves_of_changing_over()
    {
        await using TlsRoom room = await TlsRoom.StartAsync();
        string keys = Path.Combine(room.Directory.Path, "tls");
        AgentIdentity identity = room.Api.Services.GetRequiredService<AgentIdentity>();
        identity.MakeNext();
        ShownKey shown = identity.Shown;
        Assert.Equal((shown.Fingerprint, shown.Next), (Again(room).Shown.Fingerprint, Again(room).Shown.Next));
        File.Copy(Path.Combine(keys, "next.pem"), Path.Combine(keys, "key.pem"), overwrite: true);
        Assert.Equal((shown.Next, null), (Again(room).Shown.Fingerprint, Again(room).Shown.Next));
        Assert.False(File.Exists(Path.Combine(keys, "next.pem")));
        File.WriteAllText(Path.Combine(keys, "key.pem"), "no key");
        Assert.Equal(ExitCode.NeedsOperator, Assert.Throws<OperatorException>(() => Again(room)).Code);
        Assert.Throws<OperatorException>(identity.ChangeOver);
    }

    private static AgentIdentity Again(TlsRoom room) =>
        new(new Agent.Artifacts.Durable.Disk(), room.Directory.Path, new Agent.Daemon.Configuration.ListenerOptions(new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0)), TimeProvider.System);

    private static Clients Clients(TlsRoom room) => room.Api.Services.GetRequiredService<Clients>();

    private static string Key(KeyFiles machine)
    {
        using OwnKey key = machine.Key()!;
        return key.Fingerprint;
    }

    private static Task<KeyRenewal.Result> RenewAsync(TlsRoom room, KeyFiles machine, bool skipFailed = false)
    {
        File.Copy(Path.Combine(room.Directory.Path, "ann-laptop/keys/key.pem"), Path.Combine(room.Directory.Path, "old.pem"), overwrite: true);
        return KeyRenewal.RunAsync(
            machine, (address, files) => new AgentConnection(new HostEntry("web1", address), new TlsDialer(address, null, files, room.Time, _ => null), room.Time), skipFailed, Cancel);
    }

    private static Task<GetVersionResponse> VersionAsync(AgentConnection agent) => agent.AskAsync((client, options) => client.GetVersionAsync(new GetVersionRequest(), options), Cancel);

    /// <summary>Calls over a new connection each time, until it is disposed of; a call that fails fails the test.</summary>
    private sealed class Calling : IAsyncDisposable
    {
        private readonly CancellationTokenSource stop = new();
        private readonly Task running;
        private int calls;

        public Calling(Func<AgentConnection> connect) => running = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                using (AgentConnection agent = connect()) await VersionAsync(agent);
                Interlocked.Increment(ref calls);
            }
        });

        /// <summary>Until some more calls have been made.</summary>
        public async Task MoreAsync()
        {
            int until = Volatile.Read(ref calls) + 5;
            await Agent.Tests.Protos.Eventually.HoldsAsync(() => running.IsFaulted || Volatile.Read(ref calls) >= until);
        }

        public async ValueTask DisposeAsync()
        {
            await stop.CancelAsync();
            await running;
        }
    }
}
