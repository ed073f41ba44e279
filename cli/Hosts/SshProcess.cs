using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using Agent.Artifacts;

namespace Agent.Cli.Hosts;

/// <summary>One run of ssh. Its stdin and stdout are the connection, its stderr explains when there is none.</summary>
internal sealed partial class SshProcess
{
    private const int Interrupt = 2, Terminate = 15;   // SIGINT, SIGTERM
    private const int Block = 0, SetMask = 2;          // SIG_BLOCK, SIG_SETMASK
    private const int SetSize = 128;                   // sizeof(sigset_t)

    private const int MostErrors = 16 * 1024;

    /// <summary>Until ssh has passed on that we are done; it waits for the host's answer.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    /// <summary>For what its children may still say, when it has ended itself.</summary>
    private static readonly TimeSpan LastWords = TimeSpan.FromMilliseconds(250);

    private readonly Process process;
    private readonly TimeProvider time;
    private readonly Task errorsRead;
    private readonly StringBuilder errors = new();
    private int ended;

    private SshProcess(Process process, TimeProvider time)
    {
        this.process = process;
        this.time = time;
        errorsRead = ReadErrorsAsync();
    }

    public Stream Input => process.StandardInput.BaseStream;

    public Stream Output => process.StandardOutput.BaseStream;

    /// <summary>The end of what came on stderr until now. Not trusted: the host has a say in it.</summary>
    public string Errors
    {
        get
        {
            lock (errors) return errors.ToString();
        }
    }

    /// <summary>
    /// Starts it with Ctrl-C held back: that is for agentctl alone, which may have something to say to the host because of it. ssh and what it starts
    /// inherit that; questions for passphrases still come from the terminal.
    /// </summary>
    /// <exception cref="OperatorException">There is no such program.</exception>
    public static SshProcess Start(string program, IReadOnlyList<string> arguments, TimeProvider time)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        byte[] interrupt = new byte[SetSize], before = new byte[SetSize];
        interrupt[0] = 1 << (Interrupt - 1);
        _ = SetSignalMask(Block, interrupt, before);
        try
        {
            return new SshProcess(Process.Start(start)!, time);
        }
        catch (Win32Exception e)
        {
            throw new OperatorException(ExitCode.Unreachable, $"{program} cannot be started: {e.Message}", "install it: apt-get install openssh-client", e);
        }
        finally
        {
            _ = SetSignalMask(SetMask, before, interrupt);
        }
    }

    /// <summary>Its exit status; what it said is complete then, as far as it can be waited for.</summary>
    public async Task<int> ExitAsync(CancellationToken cancellationToken)
    {
        await process.WaitForExitAsync(cancellationToken);
        await Task.WhenAny(errorsRead, Task.Delay(LastWords, time, cancellationToken));   // a shared connection that it leaves behind may hold stderr open
        return process.ExitCode;
    }

    /// <summary>The connection, from here on.</summary>
    /// <param name="first">What was read of it already.</param>
    public Stream Open(ReadOnlyMemory<byte> first) => new SshStream(this, first);

    /// <summary>Says that we are done, and sees to it that it ends soon; does not wait. When agentctl ends before that, ssh sees the end of its input.</summary>
    public void End()
    {
        if (Interlocked.Exchange(ref ended, 1) == 0) _ = EndAsync();
    }

    private async Task EndAsync()
    {
        try
        {
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It is gone already.
        }
        if (await ExitsAsync()) return;
        _ = SendSignal(process.Id, Terminate);
        if (!await ExitsAsync()) process.Kill();
    }

    private async Task<bool> ExitsAsync()
    {
        using var limit = new CancellationTokenSource(Patience, time);
        try
        {
            await process.WaitForExitAsync(limit.Token);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private async Task ReadErrorsAsync()
    {
        var buffer = new char[1024];
        try
        {
            for (int read; (read = await process.StandardError.ReadAsync(buffer)) > 0;)
            {
                lock (errors)
                {
                    errors.Append(buffer, 0, read);
                    if (errors.Length > MostErrors) errors.Remove(0, errors.Length - MostErrors);
                }
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException)
        {
            // What came until now is what it said.
        }
    }

    [LibraryImport("libc", EntryPoint = "pthread_sigmask")]
    private static partial int SetSignalMask(int how, [In] byte[] set, [Out] byte[] before);

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int SendSignal(int process, int signal);

    /// <summary>ssh's stdout for reading and its stdin for writing.</summary>
    private sealed class SshStream(SshProcess ssh, ReadOnlyMemory<byte> first) : Stream
    {
        private ReadOnlyMemory<byte> first = first;

        public override bool CanRead => true;

        public override bool CanWrite => true;

        public override bool CanSeek => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (first.Length == 0) return ssh.Output.ReadAsync(buffer, cancellationToken);
            int length = Math.Min(first.Length, buffer.Length);
            first[..length].CopyTo(buffer);
            first = first[length..];
            return new ValueTask<int>(length);
        }

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            await ssh.Input.WriteAsync(buffer, cancellationToken);
            await ssh.Input.FlushAsync(cancellationToken);
        }

        public override Task FlushAsync(CancellationToken cancellationToken) => ssh.Input.FlushAsync(cancellationToken);

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override void Flush() => ssh.Input.Flush();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            if (disposing) ssh.End();
            base.Dispose(disposing);
        }
    }
}
