using System.Runtime.InteropServices;
using Agent.Daemon.Deployments;

namespace Agent.Daemon.Systemd;

/// <summary>Users of the host, by its name service (nss).</summary>
internal static unsafe partial class Users
{
    private const int BufferSize = 1 << 16;

    /// <returns>Null where the host knows no such user, or cannot say now.</returns>
    public static UserIds? Find(string name)
    {
        fixed (byte* buffer = new byte[BufferSize])
            return GetUser(name, out Entry entry, buffer, BufferSize, out nint found) == 0 && found != 0 ? new UserIds(entry.Uid, entry.Gid) : null;
    }

    [LibraryImport("libc", EntryPoint = "getpwnam_r", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int GetUser(string name, out Entry entry, byte* buffer, nuint size, out nint found);

    // <pwd.h> of glibc and musl, 64 bit. The strings lie in the buffer of the call.
    [StructLayout(LayoutKind.Sequential)]
    private struct Entry
    {
        public nint Name;
        public nint Password;
        public uint Uid;
        public uint Gid;
        public nint FullName;
        public nint Home;
        public nint Shell;
    }
}
