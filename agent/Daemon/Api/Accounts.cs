using System.Runtime.InteropServices;

namespace Agent.Daemon.Api;

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

    /// <returns>Null where the host knows no such group.</returns>
    public static uint? GroupOf(string name)
    {
        fixed (byte* buffer = new byte[BufferSize])
            return GetGroup(name, out GroupEntry entry, buffer, BufferSize, out nint found) == 0 && found != 0 ? entry.Gid : null;
    }

    /// <summary>Gives a file to root and a group; its owner stays.</summary>
    /// <exception cref="IOException">Not allowed.</exception>
    public static void GiveToGroup(string path, uint gid)
    {
        const uint Unchanged = uint.MaxValue;
        if (ChangeOwner(path, Unchanged, gid) != 0) throw new IOException($"chown of {path} to group {gid}: {Marshal.GetLastPInvokeErrorMessage()}");
    }

    [LibraryImport("libc", EntryPoint = "getpwuid_r")]
    private static partial int GetUser(uint uid, out UserEntry entry, byte* buffer, nuint size, out nint found);

    [LibraryImport("libc", EntryPoint = "getgrnam_r", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int GetGroup(string name, out GroupEntry entry, byte* buffer, nuint size, out nint found);

    [LibraryImport("libc", EntryPoint = "lchown", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int ChangeOwner(string path, uint uid, uint gid);

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
