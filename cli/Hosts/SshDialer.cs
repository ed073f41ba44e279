using Agent.Artifacts;

namespace Agent.Cli.Hosts;

/// <summary>
/// Through the system's ssh, with its configuration, its agent, its jump hosts and its shared connections. It runs <see cref="DialStdio.RemoteCommand"/>
/// there, and nothing else: access on the host is what ssh and the agent's groups give.
/// </summary>
/// <param name="mayAsk">ssh may ask on the terminal for a passphrase or about an unknown host key. Not where several hosts are asked at once.</param>
/// <param name="program">Absolute, or looked for in PATH.</param>
internal sealed class SshDialer(HostAddress.Ssh address, bool mayAsk, TimeProvider time, string program = "ssh") : IDialer
{
    // sshd and jump hosts drop connections at random when more than ten at once have not logged in yet (MaxStartups 10:30:100).
    private const int MostHandshakes = 8;

    private const int Tries = 4;

    /// <summary>Of what a shell prints before the preamble.</summary>
    private const int MostNoise = 64 * 1024;

    /// <summary>From the start of ssh to the preamble; below the time that an answer may take, so that this is what is told.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(25);

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(250);

    private static readonly SemaphoreSlim Handshakes = new(MostHandshakes);

    private readonly Lock gate = new();
    private readonly List<SshProcess> started = [];
    private bool disposed;

    public async ValueTask<Stream> ConnectAsync(CancellationToken cancellationToken)
    {
        TimeSpan pause = FirstPause;
        for (int attempt = 1; ; attempt++)
        {
            if (await TryAsync(isLast: attempt == Tries, cancellationToken) is { } stream) return stream;
            await Task.Delay(pause * (0.5 + Random.Shared.NextDouble()), time, cancellationToken);
            pause *= 2;
        }
    }

    public void Dispose()
    {
        SshProcess[] running;
        lock (gate)
        {
            disposed = true;
            running = [.. started];
        }
        foreach (SshProcess ssh in running) ssh.End();
    }

    /// <summary>What ssh is started with. The options are those of scp: nothing but the command, whatever the user has configured for people.</summary>
    public static IReadOnlyList<string> Arguments(HostAddress.Ssh address, bool mayAsk, string command)
    {
        List<string> arguments =
        [
            "-T", "-x", "-a", "-oPermitLocalCommand=no", "-oRemoteCommand=none", "-oClearAllForwardings=yes", "-oConnectTimeout=10",
            $"-oBatchMode={(mayAsk ? "no" : "yes")}",
        ];
        if (address.User is { } user) arguments.AddRange(["-l", user]);
        if (address.Port is { } port) arguments.AddRange(["-p", $"{port}"]);
        arguments.AddRange(["--", address.Host, command]);
        return arguments;
    }

    /// <returns>Null: it was dropped before ssh had logged in, and may be tried again.</returns>
    private async Task<Stream?> TryAsync(bool isLast, CancellationToken cancellationToken)
    {
        await Handshakes.WaitAsync(cancellationToken);
        SshProcess? ssh = null;
        try
        {
            ssh = Start();
            if (await GreetAsync(ssh, cancellationToken) is { } stream) return stream;
            int exit = await ssh.ExitAsync(cancellationToken);
            if (!isLast && SshFailure.IsDropped(exit, ssh.Errors)) return null;
            throw SshFailure.Explain(exit, ssh.Errors, address);
        }
        catch
        {
            ssh?.End();
            throw;
        }
        finally
        {
            Handshakes.Release();
        }
    }

    private SshProcess Start()
    {
        lock (gate)
        {
            ObjectDisposedException.ThrowIf(disposed, this);
            var ssh = SshProcess.Start(program, Arguments(address, mayAsk, DialStdio.RemoteCommand), time);
            started.Add(ssh);
            return ssh;
        }
    }

    /// <returns>Null: it has ended, or has closed its output.</returns>
    private async Task<Stream?> GreetAsync(SshProcess ssh, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(Limit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        var heard = new byte[MostNoise];
        int length = 0;
        try
        {
            while (length < heard.Length)
            {
                int read = await ssh.Output.ReadAsync(heard.AsMemory(length), either.Token);
                if (read == 0) return null;
                length += read;
                int at = heard.AsSpan(0, length).IndexOf(DialStdio.Preamble.Span);
                if (at >= 0) return ssh.Open(heard.AsMemory((at + DialStdio.Preamble.Length)..length));
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw SshFailure.Silent(Limit, address);
        }
        throw SshFailure.Noisy(address);
    }
}
