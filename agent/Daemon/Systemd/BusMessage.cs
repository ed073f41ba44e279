using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Agent.Daemon.Systemd;

/// <summary>A D-Bus message. Valid on the bus thread while it is handled, so what is read are copies.</summary>
/// <remarks>All throw <see cref="BusLostException"/> where the message is not what the caller expects: then the other end is not systemd.</remarks>
internal readonly struct BusMessage(nint pointer)
{
    public nint Pointer => pointer;

    public void Write(string value) => Check(SdBus.AppendString(pointer, (byte)'s', value));

    public void Write(bool value) => Check(SdBus.AppendInt32(pointer, (byte)'b', value ? 1 : 0));

    public void Write(ulong value) => Check(SdBus.AppendUInt64(pointer, (byte)'t', value));

    /// <summary>Hands a file descriptor over. The message holds a copy of it.</summary>
    public void Write(SafeFileHandle handle)
    {
        bool held = false;
        try
        {
            handle.DangerousAddRef(ref held);
            Check(SdBus.AppendInt32(pointer, (byte)'h', (int)handle.DangerousGetHandle()));
        }
        finally
        {
            if (held) handle.DangerousRelease();
        }
    }

    /// <summary>Writes an array, a structure or a variant.</summary>
    /// <param name="kind"><c>a</c>, <c>r</c> or <c>v</c>.</param>
    /// <param name="contents">Type of what is inside: <c>sv</c>.</param>
    public void Write(char kind, string contents, Action<BusMessage> inside)
    {
        Check(SdBus.OpenContainer(pointer, (byte)kind, contents));
        inside(this);
        Check(SdBus.CloseContainer(pointer));
    }

    /// <summary>Writes a name and its value, as in <c>a(sv)</c>.</summary>
    public void WriteProperty(string name, string type, Action<BusMessage> value) => Write('r', "sv", m =>
    {
        m.Write(name);
        m.Write('v', type, value);
    });

    /// <summary>Writes an array of strings.</summary>
    public void Write(params ReadOnlySpan<string> values)
    {
        Check(SdBus.OpenContainer(pointer, (byte)'a', "s"));
        foreach (string value in values) Write(value);
        Check(SdBus.CloseContainer(pointer));
    }

    public string? Sender => Marshal.PtrToStringUTF8(SdBus.GetSender(pointer));

    public bool IsSignal(string @interface, string member) => Check(SdBus.IsSignal(pointer, @interface, member)) > 0;

    /// <summary>The call that this one answers; 0 where it answers none.</summary>
    public ulong ReplyCookie => SdBus.GetReplyCookie(pointer, out ulong cookie) < 0 ? 0 : cookie;

    /// <summary>The error that this message is, or null.</summary>
    public unsafe BusErrorException? Error
    {
        get
        {
            SdBus.Error* error = SdBus.GetError(pointer);
            return error is null || error->Name == 0
                ? null
                : new BusErrorException(Marshal.PtrToStringUTF8(error->Name) ?? "", Marshal.PtrToStringUTF8(error->Message) ?? "");
        }
    }

    public string ReadString() => ReadText('s');

    public string ReadPath() => ReadText('o');

    public bool ReadBoolean() => ReadUInt32('b') != 0;

    public uint ReadUInt32(char type = 'u')
    {
        Present(SdBus.ReadUInt32(pointer, (byte)type, out uint value));
        return value;
    }

    /// <summary>Whether the array that comes next is empty; it is not passed.</summary>
    /// <param name="item">Type of its items: <c>(sss)</c>.</param>
    public bool IsEmptyArray(string item)
    {
        Present(SdBus.EnterContainer(pointer, (byte)'a', item));
        return Check(SdBus.PeekType(pointer, out _, out _)) == 0;
    }

    /// <summary>Reads <c>a{sv}</c>: the wanted ones that are strings, numbers or byte arrays (as lower-case hexadecimal).</summary>
    public Dictionary<string, object> ReadProperties(IReadOnlySet<string> wanted)
    {
        var properties = new Dictionary<string, object>();
        Present(SdBus.EnterContainer(pointer, (byte)'a', "{sv}"));
        while (Check(SdBus.EnterContainer(pointer, (byte)'e', "sv")) > 0)
        {
            string name = ReadString();
            if (wanted.Contains(name) && ReadVariant() is { } value) properties[name] = value;
            else if (!wanted.Contains(name)) Check(SdBus.Skip(pointer, "v"));
            Check(SdBus.ExitContainer(pointer));
        }
        Check(SdBus.ExitContainer(pointer));
        return properties;
    }

    private object? ReadVariant()
    {
        Present(SdBus.PeekType(pointer, out byte outer, out nint contents));
        if (outer != 'v') throw Unexpected();
        string type = Marshal.PtrToStringUTF8(contents) ?? "";
        Present(SdBus.EnterContainer(pointer, (byte)'v', type));
        object? value = null;
        switch (type)
        {
            case "s" or "o":
                value = ReadText(type[0]);
                break;
            case "u" or "b":
                value = ReadUInt32(type[0]);
                break;
            case "i":
                value = (int)ReadUInt32('i');
                break;
            case "t":
                Present(SdBus.ReadUInt64(pointer, (byte)'t', out ulong number));
                value = number;
                break;
            case "ay":
                value = ReadBytes();
                break;
            default:
                Check(SdBus.Skip(pointer, type));
                break;
        }
        Check(SdBus.ExitContainer(pointer));
        return value;
    }

    private unsafe string ReadBytes()
    {
        Check(SdBus.ReadArray(pointer, (byte)'y', out nint items, out nuint bytes));
        return Convert.ToHexStringLower(new ReadOnlySpan<byte>((void*)items, checked((int)bytes)));
    }

    private string ReadText(char type)
    {
        Present(SdBus.ReadText(pointer, (byte)type, out nint value));
        return Marshal.PtrToStringUTF8(value) ?? "";
    }

    private static void Present(int result)
    {
        if (Check(result) == 0) throw Unexpected();
    }

    private static int Check(int result) =>
        result >= 0 ? result : throw new BusLostException($"a D-Bus message is not as expected: {Marshal.GetPInvokeErrorMessage(-result)}");

    private static BusLostException Unexpected() => new("a D-Bus message ends too early");
}

/// <summary>The connection to the bus, or systemd's to it, is gone or cannot be made; a call may or may not have been carried out.</summary>
internal sealed class BusLostException(string message) : Exception(message);

/// <summary>The other end answered with an error.</summary>
/// <param name="name">As D-Bus names it: <c>org.freedesktop.systemd1.NoSuchUnit</c>.</param>
internal sealed class BusErrorException(string name, string message) : Exception(message)
{
    public string Name { get; } = name;
}
