using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Microsoft.Win32.SafeHandles;

namespace Agent.Daemon.Hosting;

/// <summary>One agentd at a time on a data directory. The kernel lets go of the lock when the process ends, however it ends.</summary>
internal sealed partial class InstanceLock : IDisposable
{
    // <fcntl.h>, <sys/file.h>, <errno.h> of Linux on x86-64 and arm64.
    private const int OpenReadWrite = 2, OpenCloseOnExec = 0x80000, LockExclusive = 2, LockNonBlocking = 4, ErrorWouldBlock = 11;

    private readonly SafeFileHandle file;

    private InstanceLock(SafeFileHandle file) => this.file = file;

    /// <summary>Takes the lock, making the directory (mode 700) and the file <c>agentd.lock</c> where they are missing.</summary>
    /// <exception cref="OperatorException"><see cref="ExitCode.Refused"/>: another agentd has it.</exception>
    /// <exception cref="IOException">The directory cannot be written.</exception>
    public static InstanceLock Take(IDisk disk, string dataDirectory)
    {
        disk.MakeDirectories(dataDirectory, DurableOperations.Mode700);
        string path = Path.Combine(dataDirectory, "agentd.lock");
        if (!disk.Exists(path)) disk.WriteFile(path, DurableOperations.Mode600, static _ => { });
        SafeFileHandle file = Open(path);
        try
        {
            if (NativeLock(file, LockExclusive | LockNonBlocking) != 0)
            {
                int error = Marshal.GetLastPInvokeError();
                if (error != ErrorWouldBlock) throw new IOException($"lock {path}: {Marshal.GetPInvokeErrorMessage(error)}", error);
                throw new OperatorException(ExitCode.Refused, $"agentd already runs here ({Owner(file)}, on {dataDirectory})",
                    "use that one, or stop it first: systemctl stop agentd");
            }
            // For the message above alone: the lock is what counts.
            RandomAccess.SetLength(file, 0);
            RandomAccess.Write(file, Encoding.ASCII.GetBytes($"{Environment.ProcessId}\n"), 0);
            return new InstanceLock(file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    public void Dispose() => file.Dispose();

    private static string Owner(SafeFileHandle file)
    {
        Span<byte> text = stackalloc byte[16];
        int length = RandomAccess.Read(file, text, 0);
        return int.TryParse(text[..length].TrimEnd((byte)'\n'), NumberStyles.None, CultureInfo.InvariantCulture, out int pid)
            ? $"pid {pid}" : "pid unknown";
    }

    private static SafeFileHandle Open(string path)
    {
        // Not File.OpenHandle: that takes a lock of its own on the file.
        int descriptor = NativeOpen(path, OpenReadWrite | OpenCloseOnExec, 0);
        if (descriptor >= 0) return new SafeFileHandle(descriptor, ownsHandle: true);
        int error = Marshal.GetLastPInvokeError();
        throw new IOException($"open {path}: {Marshal.GetPInvokeErrorMessage(error)}", error);
    }

    // open(2) is variadic only with O_CREAT, which is not used here.
    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int NativeOpen(string path, int flags, uint mode);

    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    private static partial int NativeLock(SafeFileHandle file, int operation);
}
