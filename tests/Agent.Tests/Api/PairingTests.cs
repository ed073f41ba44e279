using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Agent.Artifacts;
using Agent.Cli.Hosts;
using Agent.Daemon.Access;
using Agent.Daemon.Api;
using Agent.Protos.Access;
using Agent.Tests.Fakes;
using Microsoft.Extensions.DependencyInjection;

namespace Agent.Tests.Api;

/// <summary>Two sides that know nothing of each other but a code.</summary>
public sealed class PairingTests
{
    private const string Laptop = "sha256:aaaa", Agents = "sha256:bbbb";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public void A_code_is_read_as_people_type_it()
    {
        for (int i = 0; i < 200; i++)
        {
            byte[] secret = Pairing.NewSecret();
            string code = Pairing.Code(secret);
            Assert.Matches(@"\A[0-7][0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{5}){3}-[0-9A-HJKMNP-TV-Z]{6}\z", code);
            foreach (string typed in (string[])[code, code.ToLowerInvariant(), code.Replace("-", "", StringComparison.Ordinal), $" {code.Replace('0', 'o').Replace('1', 'l')} "])
            {
                Assert.True(Pairing.TryRead(typed, out byte[] read), typed);
                Assert.Equal(secret, read);
            }
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("3QX7A")]
    [InlineData("ZZZZZ-ZZZZZ-ZZZZZ-ZZZZZ-ZZZZZZ")]    // more than 128 bits
    [InlineData("00000-00000-00000-00000-000000-0")]
    [InlineData("00000-00000-00000-00000-00000U")]
    [InlineData("00000-00000-00000-00000-00000/")]
    public void What_is_no_code_is_not_taken_for_one(string typed) => Assert.False(Pairing.TryRead(typed, out _));

    [Fact]
    public void A_code_lets_one_key_in_once()
    {
        var codes = new PairingCodes(new ManualTime());
        byte[] secret = Read(codes.Create(Ann, PairingCodes.Usual));
        byte[] proof = Pairing.CallersProof(secret, Laptop, Agents);
        Assert.Null(codes.Use(proof, "sha256:another", Agents, out _));
        Assert.Null(codes.Use(proof, Laptop, "sha256:another", out _));
        (Invitation invitation, byte[] answer) = codes.Use(proof, Laptop, Agents, out _)!.Value;
        Assert.Equal(Ann, invitation);
        Assert.Equal(Pairing.AgentsProof(secret, Laptop, Agents), answer);
        Assert.Null(codes.Use(proof, Laptop, Agents, out _));
    }

    [Fact]
    public void A_code_expires()
    {
        var time = new ManualTime();
        var codes = new PairingCodes(time);
        byte[] proof = Pairing.CallersProof(Read(codes.Create(Ann, PairingCodes.Usual)), Laptop, Agents);
        time.StepWallClock(TimeSpan.FromHours(-5));
        time.Advance(PairingCodes.Usual);
        Assert.Null(codes.Use(proof, Laptop, Agents, out _));
    }

    [Fact]
    public void Five_wrong_proofs_void_every_code_and_so_does_a_newer_one_of_the_same_name()
    {
        var codes = new PairingCodes(new ManualTime());
        byte[] first = Read(codes.Create(Ann, PairingCodes.Usual)), second = Read(codes.Create(Ann, PairingCodes.Usual));
        Assert.Null(codes.Use(Pairing.CallersProof(first, Laptop, Agents), Laptop, Agents, out _));
        int voided = 0;
        for (int i = 0; i < PairingCodes.MostWrong - 1; i++) Assert.Null(codes.Use(RandomNumberGenerator.GetBytes(32), Laptop, Agents, out voided));
        Assert.Equal(1, voided);
        Assert.Null(codes.Use(Pairing.CallersProof(second, Laptop, Agents), Laptop, Agents, out _));
    }

    [Fact]
    public void So_many_codes_and_no_more()
    {
        var codes = new PairingCodes(new ManualTime());
        for (int i = 0; i < PairingCodes.Most; i++) codes.Create(Ann with { Name = $"ann-{i}" }, PairingCodes.Usual);
        Assert.Equal(ExitCode.Refused, Assert.Throws<OperatorException>(() => codes.Create(Ann, PairingCodes.Usual)).Code);
    }

    [Fact]
    public async Task Wrong_proofs_and_codes_that_were_used_are_refused_and_recorded()
    {
        await using TlsRoom room = await TlsRoom.StartAsync();
        byte[] secret = room.Invite("ann-laptop");
        await RefusedAsync(room, "eve", Pairing.NewSecret());
        await AgentPairing.PairAsync(room.Address, secret, room.Machine("ann"), room.Time, Cancel);
        await RefusedAsync(room, "eve", secret);
        Assert.Null(room.Machine("eve").Agent(room.Address));
        Assert.Equal(["ann-laptop"], room.Api.Services.GetRequiredService<Clients>().All.Select(client => client.Name));
        Assert.Equal([("pair", true), ("pair", false), ("pair", true)], room.Audit.Read(10).Select(record => (record.Wish, record.Refused)));
    }

    [Fact]
    public async Task With_somebody_in_between_neither_side_keeps_anything()
    {
        await using TlsRoom room = await TlsRoom.StartAsync();
        byte[] secret = room.Invite("ann-laptop");
        using var middle = new Middle(room.Api.Port);
        KeyFiles ann = room.Machine("ann");
        var address = new HostAddress.Tls("127.0.0.1", middle.Port);
        await Assert.ThrowsAsync<OperatorException>(() => AgentPairing.PairAsync(address, secret, ann, room.Time, Cancel));
        Assert.True(middle.Passed > 0);
        Assert.Null(ann.Agent(address));
        Assert.Empty(room.Api.Services.GetRequiredService<Clients>().All);
    }

    [Fact]
    public async Task A_name_and_a_key_are_paired_once()
    {
        await using TlsRoom room = await TlsRoom.StartAsync();
        KeyFiles ann = await room.PairAsync("ann-laptop");
        await RefusedAsync(room, "ann-laptop", room.Invite("another-name"));   // the key of ann-laptop
        byte[] again = room.Invite("ann-laptop");
        await RefusedAsync(room, "bob", again);
        Assert.Equal([ann.Key()!.Fingerprint], room.Api.Services.GetRequiredService<Clients>().All.Select(client => client.Fingerprint));
    }

    private static Invitation Ann { get; } = new("ann-laptop", Role.Deployer, "uid 0 (root)");

    private static byte[] Read(string code) => Pairing.TryRead(code, out byte[] secret) ? secret : throw new InvalidOperationException(code);

    private static async Task RefusedAsync(TlsRoom room, string machine, byte[] secret) =>
        Assert.Equal(ExitCode.Refused, (await Assert.ThrowsAsync<OperatorException>(() => AgentPairing.PairAsync(room.Address, secret, room.Machine(machine), room.Time, Cancel))).Code);

    /// <summary>Ends TLS on both sides with keys of its own, and passes everything on.</summary>
    private sealed class Middle : IDisposable
    {
        private readonly TcpListener listener = new(IPAddress.Loopback, 0);
        private readonly OwnKey key = OwnKey.Create();
        private readonly int to;
        private long passed;

        public Middle(int to)
        {
            this.to = to;
            listener.Start();
            _ = RunAsync();
        }

        public int Port => ((IPEndPoint)listener.LocalEndpoint).Port;

        public long Passed => Interlocked.Read(ref passed);

        public void Dispose()
        {
            listener.Dispose();
            key.Dispose();
        }

        private async Task RunAsync()
        {
            using X509Certificate2 certificate = key.MakeCertificate("agentd", TimeProvider.System.GetUtcNow());
            var context = SslStreamCertificateContext.Create(certificate, null, offline: true);
            using TcpClient victim = await listener.AcceptTcpClientAsync(Cancel);
            using var inside = new SslStream(victim.GetStream());
            await inside.AuthenticateAsServerAsync(new SslServerAuthenticationOptions
            {
                ServerCertificateContext = context,
                EnabledSslProtocols = SslProtocols.Tls13,
                ApplicationProtocols = [SslApplicationProtocol.Http2],
                ClientCertificateRequired = true,
                RemoteCertificateValidationCallback = (_, presented, _, _) => presented is not null,
            }, Cancel);
            using var agent = new TcpClient();
            await agent.ConnectAsync(IPAddress.Loopback, to, Cancel);
            using var outside = new SslStream(agent.GetStream());
            await outside.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
            {
                TargetHost = "localhost",
                ApplicationProtocols = [SslApplicationProtocol.Http2],
                ClientCertificateContext = context,
                RemoteCertificateValidationCallback = (_, presented, _, _) => presented is not null,
            }, Cancel);
            await Task.WhenAny(PassAsync(inside, outside), PassAsync(outside, inside));
        }

        private async Task PassAsync(Stream from, Stream into)
        {
            var buffer = new byte[4096];
            while (await from.ReadAsync(buffer, Cancel) is > 0 and var count)
            {
                Interlocked.Add(ref passed, count);
                await into.WriteAsync(buffer.AsMemory(0, count), Cancel);
            }
        }
    }
}
