using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Agent.Daemon.Systemd;

/// <summary>
/// A pipe for the output and errors of a command, and the thread that reads it: so that every line comes, as it is written, and without
/// the journal. Lines are cut at <see cref="JournalReader.MessageLimit"/> characters and hold nothing that steers a terminal.
/// </summary>
/// <param name="told">Takes each line, on the thread. While it blocks, so does a command that writes much; when it throws, it is told no more.</param>
/// <param name="failed">Learns of what <paramref name="told"/> threw.</param>
internal sealed class CommandOutput : IDisposable
{
    public const int LinesKept = 100;

    // A character takes up to four bytes.
    private const int LineBytes = 4 * JournalReader.MessageLimit;

    private readonly SafeFileHandle read;
    private readonly WakeUp wake = new();
    private readonly Queue<string> kept = new();
    private readonly TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Action<Exception> failed;
    private Action<string>? told;
    private volatile bool stopping;

    public CommandOutput(Action<string> told, Action<Exception> failed)
    {
        (this.told, this.failed) = (told, failed);
        (read, WriteEnd) = LibC.NewPipe();
        // Whoever runs the command may open its own output anew, as in `echo ... > /dev/stderr`; nobody else reaches a pipe without a name.
        File.SetUnixFileMode(WriteEnd, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupWrite | UnixFileMode.OtherWrite);
        new Thread(Run) { IsBackground = true, Name = "command-output" }.Start();
    }

    /// <summary>For the command; to be closed here once systemd has its copy.</summary>
    public SafeFileHandle WriteEnd { get; }

    /// <summary>Waits until nobody can write any more, or for <paramref name="grace"/>: a process that got away may hold the pipe open for ever.</summary>
    /// <returns>The last lines, <see cref="LinesKept"/> at most.</returns>
    public async Task<IReadOnlyList<string>> EndAsync(TimeSpan grace, TimeProvider time)
    {
        WriteEnd.Dispose();
        try
        {
            await ended.Task.WaitAsync(grace, time);
        }
        catch (TimeoutException)
        {
            Dispose();
        }
        lock (kept) return [.. kept];
    }

    public void Dispose()
    {
        WriteEnd.Dispose();
        stopping = true;
        wake.Signal();
    }

    private void Run()
    {
        var line = new List<byte>(256);
        try
        {
            Span<byte> buffer = new byte[16 * 1024];
            while (WaitForMore() && LibC.Read(read, buffer) is > 0 and var count)
            {
                foreach (byte b in buffer[..count])
                {
                    if (b == '\n') End();
                    else if (line.Count < LineBytes) line.Add(b);
                }
            }
            if (line.Count > 0) End();
        }
        catch (IOException e)
        {
            failed(e);
        }
        finally
        {
            read.Dispose();
            wake.Dispose();
            ended.TrySetResult();
        }

        void End()
        {
            if (!stopping) Tell(JournalReader.Clean(CollectionsMarshal.AsSpan(line)));
            line.Clear();
        }
    }

    private void Tell(string line)
    {
        lock (kept)
        {
            kept.Enqueue(line);
            if (kept.Count > LinesKept) kept.Dequeue();
        }
        try
        {
            told?.Invoke(line);
        }
        catch (Exception e)
        {
            // How a command ended must not depend on who watches.
            told = null;
            failed(e);
        }
    }

    private bool WaitForMore()
    {
        Span<LibC.PollDescriptor> descriptors =
        [
            new() { Descriptor = wake.Descriptor, Events = LibC.PollIn },
            new() { Descriptor = (int)read.DangerousGetHandle(), Events = LibC.PollIn },
        ];
        while (!stopping)
        {
            LibC.Poll(descriptors, -1);
            if (descriptors[1].Returned != 0) return !stopping;
        }
        return false;
    }
}
