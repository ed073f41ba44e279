using System.Runtime.InteropServices;
using Agent.Daemon.Deployments;

namespace Agent.Daemon.Systemd;

/// <summary>Users and groups of the host, by its name service (nss).</summary>
internal static unsafe partial class Accounts
{
    private const int BufferSize = 1 << 16;   // group entries list their members

    /// <returns>Null where the host knows no such user, or cannot say now.</returns>
    public static string? NameOf(uint uid)
    {
        fixed (byte* buffer = new byte[BufferSize])
            return GetUser(uid, out UserEntry entry, buffer, BufferSize, out nint found) == 0 && found != 0 ? Marshal.PtrToStringUTF8(entry.Name) : null;
    }

    /// <returns>Null where the host knows no such user, or cannot say now.</returns>
    public static UserIds? Find(string name)
    {
        fixed (byte* buffer = new byte[BufferSize])
            return GetUser(name, out UserEntry entry, buffer, BufferSize, out nint found) == 0 && found != 0 ? new UserIds(entry.Uid, entry.Gid) : null;
    }

    /// <returns>Null where the host knows no such group.</returns>
    public static uint? GroupOf(string name)
    {
        fixed (byte* buffer = new byte[BufferSize])
            return GetGroup(name, out GroupEntry entry, buffer, BufferSize, out nint found) == 0 && found != 0 ? entry.Gid : null;
    }

    [LibraryImport("libc", EntryPoint = "getpwuid_r")]
    private static partial int GetUser(uint uid, out UserEntry entry, byte* buffer, nuint size, out nint found);

    [LibraryImport("libc", EntryPoint = "getpwnam_r", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int GetUser(string name, out UserEntry entry, byte* buffer, nuint size, out nint found);

    [LibraryImport("libc", EntryPoint = "getgrnam_r", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int GetGroup(string name, out GroupEntry entry, byte* buffer, nuint size, out nint found);

    // <pwd.h> and <grp.h> of glibc and musl, 64 bit. The strings lie in the buffer of the call.
    [StructLayout(LayoutKind.Sequential)]
    private struct UserEntry
    {
        public nint Name;
        public nint Password;
        public uint Uid;
        public uint Gid;
        public nint FullName;
        public nint Home;
        public nint Shell;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct GroupEntry
    {
        public nint Name;
        public nint Password;
        public uint Gid;
        public nint Members;
    }
}
