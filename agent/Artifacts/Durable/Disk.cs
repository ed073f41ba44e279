using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Agent.Artifacts.Durable;

/// <summary>The machine's disk.</summary>
internal sealed partial class Disk : IDisk
{
    // <fcntl.h>, <errno.h> of Linux on x86-64 and arm64.
    private const int OpenReadOnly = 0, OpenCloseOnExec = 0x80000;
    private const int ErrorNoEntry = 2, ErrorExists = 17, ErrorCrossDevice = 18, ErrorNotPermitted = 1, ErrorTooManyLinks = 31;

    public EntryKind Kind(string path)
    {
        FileAttributes attributes;
        try
        {
            attributes = File.GetAttributes(path);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return EntryKind.Missing;
        }
        if ((attributes & FileAttributes.ReparsePoint) != 0) return EntryKind.Link;
        return (attributes & FileAttributes.Directory) != 0 ? EntryKind.Directory : EntryKind.File;
    }

    public FileStatus? Status(string path) => FileStatus.Of(path);

    public Stream OpenRead(string path) =>
        new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 1 << 16, FileOptions.SequentialScan);

    public IReadOnlyList<string> List(string directory) => Kind(directory) == EntryKind.Missing
        ? []
        : [.. new DirectoryInfo(directory).EnumerateFileSystemInfos().Select(entry => entry.Name)];

    public string? ReadLink(string path) => Kind(path) == EntryKind.Link ? new FileInfo(path).LinkTarget : null;

    public long FreeBytes(string path) => new DriveInfo(path).AvailableFreeSpace;

    public void MakeDirectory(string path, UnixFileMode mode)
    {
        if (Kind(path) == EntryKind.Directory) return;
        Check(NativeMakeDirectory(path, (uint)mode), "mkdir", path, ErrorExists);
        File.SetUnixFileMode(path, mode);   // mkdir(2) applies the umask
    }

    public void WriteFile(string path, UnixFileMode mode, Action<Stream> write)
    {
        RemoveFile(path);
        using var stream = new FileStream(path, new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            Share = FileShare.Read,
            UnixCreateMode = mode | UnixFileMode.UserWrite,
            BufferSize = 1 << 16,
        });
        write(stream);
        stream.Flush();
        File.SetUnixFileMode(stream.SafeFileHandle, mode);
    }

    public void Append(string path, ReadOnlySpan<byte> content)
    {
        using var stream = new FileStream(path, new FileStreamOptions
        {
            Mode = FileMode.Append,
            Access = FileAccess.Write,
            Share = FileShare.Read,
            UnixCreateMode = DurableOperations.Mode600,
            BufferSize = 0,
        });
        stream.Write(content);
    }

    public void Truncate(string path, long length)
    {
        using SafeFileHandle handle = File.OpenHandle(path, FileMode.Open, FileAccess.Write, FileShare.Read);
        RandomAccess.SetLength(handle, length);
    }

    public void Rename(string from, string to) => Check(NativeRename(from, to), "rename", $"{from} to {to}");

    public void LinkOrCopy(string from, string to, UnixFileMode mode)
    {
        if (NativeLink(from, to) == 0) return;
        int error = Marshal.GetLastPInvokeError();
        if (error is not (ErrorCrossDevice or ErrorNotPermitted or ErrorTooManyLinks)) throw Failure("link", $"{from} to {to}", error);
        WriteFile(to, mode, stream =>
        {
            using Stream source = OpenRead(from);
            source.CopyTo(stream, 1 << 17);
        });
    }

    public void MakeLink(string path, string target) => Check(NativeSymbolicLink(target, path), "symlink", path);

    public void RemoveFile(string path) => Check(NativeUnlink(path), "unlink", path, ErrorNoEntry);

    public void RemoveDirectory(string path) => Check(NativeRemoveDirectory(path), "rmdir", path, ErrorNoEntry);

    public void SetOwner(string path, uint user, uint group) => Check(NativeChangeOwner(path, user, group), "chown", path);

    public void SetMode(string path, UnixFileMode mode) => File.SetUnixFileMode(path, mode);

    public void SyncFile(string path) => WithDescriptor(path, NativeSync, "fsync");

    public void SyncDirectory(string path) => WithDescriptor(path, NativeSync, "fsync");

    public void SyncTree(string path) => WithDescriptor(path, NativeSyncFileSystem, "syncfs");

    private static void WithDescriptor(string path, Func<int, int> operation, string name)
    {
        int descriptor = NativeOpen(path, OpenReadOnly | OpenCloseOnExec, 0);
        if (descriptor < 0) throw Failure("open", path, Marshal.GetLastPInvokeError());
        try
        {
            Check(operation(descriptor), name, path);
        }
        finally
        {
            _ = NativeClose(descriptor);
        }
    }

    private static void Check(int result, string operation, string path, int tolerated = 0)
    {
        if (result == 0) return;
        int error = Marshal.GetLastPInvokeError();
        if (error != tolerated) throw Failure(operation, path, error);
    }

    private static IOException Failure(string operation, string path, int error) =>
        new($"{operation} {path}: {Marshal.GetPInvokeErrorMessage(error)}", error);

    // open(2) is variadic only with O_CREAT, which is never used here; with three plain arguments the call is the same on x86-64 and arm64.
    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int NativeOpen(string path, int flags, uint mode);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int NativeClose(int descriptor);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int NativeSync(int descriptor);

    [LibraryImport("libc", EntryPoint = "syncfs", SetLastError = true)]
    private static partial int NativeSyncFileSystem(int descriptor);

    [LibraryImport("libc", EntryPoint = "mkdir", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int NativeMakeDirectory(string path, uint mode);

    [LibraryImport("libc", EntryPoint = "rename", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int NativeRename(string from, string to);

    [LibraryImport("libc", EntryPoint = "link", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int NativeLink(string from, string to);

    [LibraryImport("libc", EntryPoint = "symlink", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int NativeSymbolicLink(string target, string path);

    [LibraryImport("libc", EntryPoint = "lchown", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int NativeChangeOwner(string path, uint user, uint group);

    [LibraryImport("libc", EntryPoint = "unlink", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int NativeUnlink(string path);

    [LibraryImport("libc", EntryPoint = "rmdir", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int NativeRemoveDirectory(string path);
}
