using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Agent.Daemon.Api;

/// <summary>POSIX access lists of files: what acl(5) describes, through extended attributes, as libacl does it.</summary>
internal static partial class AccessList
{
    private const string Attribute = "system.posix_acl_access";
    private const int NotSupported = 95;   // EOPNOTSUPP of <asm-generic/errno.h>

    // <linux/posix_acl_xattr.h> and <linux/posix_acl.h>.
    private const uint Version = 2, NoId = uint.MaxValue;
    private const ushort UserObject = 0x01, GroupObject = 0x04, Group = 0x08, Mask = 0x10, Other = 0x20, ReadWrite = 6;

    /// <summary>Lets a file's owner, its group and more groups read and write it, and nobody else.</summary>
    /// <param name="groups">Besides the file's own group.</param>
    /// <returns>False: the file system has no access lists, and nothing was changed.</returns>
    /// <exception cref="IOException">Not allowed.</exception>
    public static bool TrySet(string path, IReadOnlyList<uint> groups)
    {
        byte[] list = Encode(groups);
        if (SetAttribute(path, Attribute, list, (nuint)list.Length, 0) == 0) return true;
        int error = Marshal.GetLastPInvokeError();
        return error == NotSupported ? false : throw new IOException($"access list of {path}: {Marshal.GetPInvokeErrorMessage(error)}", error);
    }

    // Entries in the order of their tags, and of their ids within one: the kernel refuses another.
    private static byte[] Encode(IReadOnlyList<uint> groups)
    {
        var entries = new List<(ushort Tag, ushort Permissions, uint Id)> { (UserObject, ReadWrite, NoId), (GroupObject, ReadWrite, NoId) };
        entries.AddRange(groups.Distinct().Order().Select(group => (Group, ReadWrite, group)));
        entries.Add((Mask, ReadWrite, NoId));
        entries.Add((Other, 0, NoId));
        var list = new byte[4 + (8 * entries.Count)];
        BinaryPrimitives.WriteUInt32LittleEndian(list, Version);
        for (int i = 0; i < entries.Count; i++)
        {
            Span<byte> entry = list.AsSpan(4 + (8 * i), 8);
            BinaryPrimitives.WriteUInt16LittleEndian(entry, entries[i].Tag);
            BinaryPrimitives.WriteUInt16LittleEndian(entry[2..], entries[i].Permissions);
            BinaryPrimitives.WriteUInt32LittleEndian(entry[4..], entries[i].Id);
        }
        return list;
    }

    [LibraryImport("libc", EntryPoint = "setxattr", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int SetAttribute(string path, string name, ReadOnlySpan<byte> value, nuint size, int flags);
}
