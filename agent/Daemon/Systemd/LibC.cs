using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Agent.Daemon.Systemd;

/// <summary>File descriptors to wait on, and pipes. Constants: &lt;poll.h&gt;, &lt;fcntl.h&gt;, &lt;sys/eventfd.h&gt; and &lt;errno.h&gt; of Linux on x86-64 and arm64.</summary>
internal static partial class LibC
{
    public const short PollIn = 1;
    private const int CloseOnExec = 0x80000, EventNonBlocking = 0x800, ErrorInterrupted = 4;

    [StructLayout(LayoutKind.Sequential)]
    public struct PollDescriptor
    {
        public int Descriptor;
        public short Events;
        public short Returned;
    }

    /// <summary>Waits until one of the descriptors is ready. Returns early when a signal comes: callers loop.</summary>
    /// <param name="timeoutMilliseconds">Negative: without end.</param>
    public static void Poll(Span<PollDescriptor> descriptors, int timeoutMilliseconds)
    {
        if (NativePoll(ref MemoryMarshal.GetReference(descriptors), (nuint)descriptors.Length, timeoutMilliseconds) >= 0) return;
        int error = Marshal.GetLastPInvokeError();
        if (error != ErrorInterrupted) throw new IOException($"poll: {Marshal.GetPInvokeErrorMessage(error)}", error);
    }

    /// <summary>A counter that can be polled, for waking a thread that waits on descriptors.</summary>
    public static SafeFileHandle NewEvent()
    {
        int descriptor = NativeEvent(0, CloseOnExec | EventNonBlocking);
        return descriptor >= 0
            ? new SafeFileHandle(descriptor, ownsHandle: true)
            : throw new IOException($"eventfd: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}");
    }

    /// <summary>A pipe whose ends no child of this process inherits.</summary>
    public static unsafe (SafeFileHandle Read, SafeFileHandle Write) NewPipe()
    {
        int* ends = stackalloc int[2];
        return NativePipe(ends, CloseOnExec) == 0
            ? (new SafeFileHandle(ends[0], ownsHandle: true), new SafeFileHandle(ends[1], ownsHandle: true))
            : throw new IOException($"pipe: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}");
    }

    /// <summary>Reads what is there, or waits for it. 0: the other end is closed.</summary>
    public static unsafe int Read(SafeFileHandle descriptor, Span<byte> buffer)
    {
        fixed (byte* start = buffer)
        {
            while (true)
            {
                nint count = NativeRead(descriptor, start, (nuint)buffer.Length);
                if (count >= 0) return (int)count;
                int error = Marshal.GetLastPInvokeError();
                if (error != ErrorInterrupted) throw new IOException($"read: {Marshal.GetPInvokeErrorMessage(error)}", error);
            }
        }
    }

    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    private static partial int NativePoll(ref PollDescriptor descriptors, nuint count, int timeoutMilliseconds);

    [LibraryImport("libc", EntryPoint = "eventfd", SetLastError = true)]
    private static partial int NativeEvent(uint initial, int flags);

    [LibraryImport("libc", EntryPoint = "pipe2", SetLastError = true)]
    private static unsafe partial int NativePipe(int* ends, int flags);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static unsafe partial nint NativeRead(SafeFileHandle descriptor, byte* buffer, nuint size);

    [LibraryImport("libc", EntryPoint = "read")]
    public static partial nint Read(SafeFileHandle descriptor, out ulong value, nuint size);

    [LibraryImport("libc", EntryPoint = "write")]
    public static partial nint Write(SafeFileHandle descriptor, in ulong value, nuint size);

    [LibraryImport("libc", EntryPoint = "free")]
    public static partial void Free(nint pointer);
}

/// <summary>Wakes a thread that waits in <see cref="LibC.Poll"/>. Signals are not counted: one wake-up serves all.</summary>
internal sealed class WakeUp : IDisposable
{
    private readonly SafeFileHandle handle = LibC.NewEvent();

    /// <summary>For poll; valid until <see cref="Dispose"/>, which only the waiting thread calls.</summary>
    public int Descriptor => (int)handle.DangerousGetHandle();

    /// <summary>From any thread, also after the waiting one has gone.</summary>
    public void Signal()
    {
        try
        {
            _ = LibC.Write(handle, 1, sizeof(ulong));
        }
        catch (ObjectDisposedException)
        {
            // Nobody waits any more.
        }
    }

    public void Clear() => _ = LibC.Read(handle, out _, sizeof(ulong));

    public void Dispose() => handle.Dispose();
}
