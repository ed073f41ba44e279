using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Agent.Artifacts.Durable;

/// <summary>Type and mode of what lies at a path; links are not followed.</summary>
/// <param name="Mode">Permissions with setuid, setgid and sticky bits.</param>
/// <remarks>.NET tells neither fifos nor devices nor sockets from files, and opening a fifo waits for ever. Source: statx(2), whose layout is the same on every architecture.</remarks>
internal sealed partial record FileStatus(FileStatus.FileType Type, UnixFileMode Mode)
{
    private const int CurrentDirectory = -100, DoNotFollow = 0x100;   // AT_FDCWD, AT_SYMLINK_NOFOLLOW
    private const uint TypeModeAndOwner = 0x1 | 0x2 | 0x8;            // STATX_TYPE | STATX_MODE | STATX_UID
    private const int BufferSize = 256, OwnerOffset = 20, ModeOffset = 28;

    /// <summary>User id of the owner.</summary>
    public uint Owner { get; init; }

    internal enum FileType
    {
        File,
        Directory,
        Link,

        /// <summary>A fifo, a socket or a device.</summary>
        Special,
    }

    /// <summary>Null when there is nothing, or it cannot be looked at.</summary>
    public static FileStatus? Of(string path)
    {
        Span<byte> buffer = stackalloc byte[BufferSize];
        if (NativeStatus(CurrentDirectory, path, DoNotFollow, TypeModeAndOwner, buffer) != 0) return null;
        int mode = BinaryPrimitives.ReadUInt16LittleEndian(buffer[ModeOffset..]);
        FileType type = (mode & 0xF000) switch
        {
            0x8000 => FileType.File,
            0x4000 => FileType.Directory,
            0xA000 => FileType.Link,
            _ => FileType.Special,
        };
        return new FileStatus(type, (UnixFileMode)(mode & 0xFFF)) { Owner = BinaryPrimitives.ReadUInt32LittleEndian(buffer[OwnerOffset..]) };
    }

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int NativeStatus(int directory, string path, int flags, uint mask, Span<byte> buffer);
}
