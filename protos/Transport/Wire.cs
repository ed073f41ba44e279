using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.IO.Pipelines;
using System.Runtime.InteropServices;
using System.Text;
using Grpc.Core;

namespace Agent.Protos.Transport;

/// <summary>What client and server put on the wire alike. Source: the gRPC project's PROTOCOL-HTTP2.md.</summary>
internal static class Wire
{
    public const string ContentType = "application/grpc";
    public const string StatusHeader = "grpc-status";
    public const string MessageHeader = "grpc-message";
    public const string TimeoutHeader = "grpc-timeout";
    public const string EncodingHeader = "grpc-encoding";
    public const string AcceptEncodingHeader = "grpc-accept-encoding";
    public const string Identity = "identity";

    /// <summary>4 MiB: the default bound of a received message in every gRPC implementation.</summary>
    public const int DefaultMaxMessageSize = 4 * 1024 * 1024;

    /// <summary>Not metadata, although they come among it.</summary>
    private static readonly string[] ProtocolHeaders =
        [StatusHeader, MessageHeader, TimeoutHeader, EncodingHeader, AcceptEncodingHeader, "content-type", "te", "host"];

    /// <summary>One byte that tells compression, and the length, big-endian.</summary>
    private const int PrefixSize = 5;

    public static bool IsGrpc(string? contentType) =>
        contentType is not null
        && contentType.StartsWith(ContentType, StringComparison.OrdinalIgnoreCase)
        && (contentType.Length == ContentType.Length || contentType[ContentType.Length] is '+' or ';' or ' ');

    /// <summary>A message with its prefix.</summary>
    /// <exception cref="RpcException">ResourceExhausted: longer than <paramref name="maxSize"/> bytes.</exception>
    public static ReadOnlyMemory<byte> Frame<T>(Marshaller<T> marshaller, T message, int? maxSize)
    {
        ArgumentNullException.ThrowIfNull(message);
        var frame = new FrameWriter(maxSize);
        marshaller.ContextualSerializer(message, frame);
        return frame.Written();
    }

    /// <summary>Reads one message.</summary>
    /// <returns>Null: the other side has sent its last message.</returns>
    /// <exception cref="RpcException">ResourceExhausted: longer than <paramref name="maxSize"/> bytes. Internal: not a message.</exception>
    public static async ValueTask<T?> ReadAsync<T>(PipeReader reader, Marshaller<T> marshaller, int? maxSize, CancellationToken cancellationToken)
        where T : class
    {
        while (true)
        {
            var result = await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
            var buffer = result.Buffer;
            if (result.IsCanceled)
                throw new OperationCanceledException();
            if (TrySlice(buffer, maxSize, out var payload))
            {
                var message = Deserialize(marshaller, payload);
                reader.AdvanceTo(payload.End);
                return message;
            }
            if (result.IsCompleted)
                return buffer.IsEmpty ? null : throw Failure(StatusCode.Internal, "Incomplete message.");
            reader.AdvanceTo(buffer.Start, buffer.End);
        }
    }

    public static RpcException Failure(StatusCode code, string detail) => new(new Status(code, detail));

    public static string EncodeBinary(byte[] value) => Convert.ToBase64String(value);

    /// <exception cref="FormatException">Not base64.</exception>
    public static byte[] DecodeBinary(string value) =>
        Convert.FromBase64String(value.PadRight((value.Length + 3) / 4 * 4, '='));   // senders may leave the padding out

    /// <summary>Adds the values of a received header as metadata; headers of HTTP and of gRPC itself are left out.</summary>
    /// <exception cref="RpcException">Internal: a binary value is not base64.</exception>
    public static void AddReceived(Metadata metadata, string name, IEnumerable<string?> values)
    {
        if (ProtocolHeaders.Contains(name, StringComparer.OrdinalIgnoreCase) || !Metadata.IsKey(name))
            return;
        foreach (var value in values)
        {
            if (value is null)
                continue;
            if (!name.EndsWith(Metadata.BinaryHeaderSuffix, StringComparison.OrdinalIgnoreCase))
            {
                metadata.Add(name, value);
                continue;
            }
            foreach (var part in value.Split(',', StringSplitOptions.TrimEntries))
                try
                {
                    metadata.Add(name, DecodeBinary(part));
                }
                catch (FormatException)
                {
                    throw Failure(StatusCode.Internal, $"Metadata {name} is not base64.");
                }
        }
    }

    /// <summary>As grpc-message travels: UTF-8, with everything but printable ASCII, and the percent sign, percent-encoded.</summary>
    public static string EncodeMessage(string message)
    {
        if (!message.AsSpan().ContainsAnyExceptInRange(' ', '~') && !message.Contains('%', StringComparison.Ordinal))
            return message;
        var encoded = new StringBuilder(message.Length + 16);
        foreach (var octet in Encoding.UTF8.GetBytes(message))
            if (octet is >= (byte)' ' and <= (byte)'~' and not (byte)'%')
                encoded.Append((char)octet);
            else
                encoded.Append('%').Append(octet.ToString("X2", CultureInfo.InvariantCulture));
        return encoded.ToString();
    }

    public static string DecodeMessage(string message) => Uri.UnescapeDataString(message);

    /// <summary>As grpc-timeout travels: at most eight digits and a unit, rounded up.</summary>
    public static string EncodeTimeout(TimeSpan timeout)
    {
        const long most = 99_999_999;
        var milliseconds = (long)Math.Ceiling(timeout.TotalMilliseconds);
        return milliseconds <= 0 ? "1n"
            : milliseconds <= most ? $"{milliseconds}m"
            : $"{Math.Min((long)Math.Ceiling(timeout.TotalSeconds), most)}S";
    }

    public static bool TryDecodeTimeout(string text, out TimeSpan timeout)
    {
        timeout = default;
        if (text.Length is < 2 or > 9
            || !int.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out var value))
            return false;
        TimeSpan? found = text[^1] switch
        {
            'H' => TimeSpan.FromHours(value),
            'M' => TimeSpan.FromMinutes(value),
            'S' => TimeSpan.FromSeconds(value),
            'm' => TimeSpan.FromMilliseconds(value),
            'u' => TimeSpan.FromMicroseconds(value),
            'n' => TimeSpan.FromTicks(value / TimeSpan.NanosecondsPerTick),
            _ => null,
        };
        timeout = found ?? default;
        return found is not null;
    }

    private static bool TrySlice(ReadOnlySequence<byte> buffer, int? maxSize, out ReadOnlySequence<byte> payload)
    {
        payload = default;
        if (buffer.Length < PrefixSize)
            return false;
        Span<byte> prefix = stackalloc byte[PrefixSize];
        buffer.Slice(0, PrefixSize).CopyTo(prefix);
        if (prefix[0] != 0)   // nobody was offered another encoding than identity
            throw Failure(StatusCode.Internal, prefix[0] == 1 ? "Compressed message without a known grpc-encoding." : "Malformed message prefix.");
        var length = BinaryPrimitives.ReadUInt32BigEndian(prefix[1..]);
        if (length > (uint)(maxSize ?? int.MaxValue))
            throw Failure(StatusCode.ResourceExhausted, $"Received message of {length} bytes exceeds the limit of {maxSize ?? int.MaxValue} bytes.");
        if (buffer.Length < PrefixSize + length)
            return false;
        payload = buffer.Slice(PrefixSize, length);
        return true;
    }

    private static T Deserialize<T>(Marshaller<T> marshaller, ReadOnlySequence<byte> payload)
    {
        try
        {
            return marshaller.ContextualDeserializer(new FrameReader(payload));
        }
        catch (Exception malformed)
        {
            throw new RpcException(new Status(StatusCode.Internal, "Failed to deserialize the message.", malformed));
        }
    }

    private sealed class FrameReader(ReadOnlySequence<byte> payload) : DeserializationContext
    {
        public override int PayloadLength => (int)payload.Length;

        public override byte[] PayloadAsNewBuffer() => payload.ToArray();

        public override ReadOnlySequence<byte> PayloadAsReadOnlySequence() => payload;
    }

    private sealed class FrameWriter(int? maxSize) : SerializationContext
    {
        private ArrayBufferWriter<byte>? buffer;

        public override void SetPayloadLength(int payloadLength)
        {
            Check(payloadLength);
            buffer = Start(payloadLength);
        }

        public override IBufferWriter<byte> GetBufferWriter() => buffer ??= Start(0);

        public override void Complete()
        {
        }

        public override void Complete(byte[] payload)
        {
            SetPayloadLength(payload.Length);
            GetBufferWriter().Write(payload);
        }

        public ReadOnlyMemory<byte> Written()
        {
            var frame = (buffer ??= Start(0)).WrittenMemory;
            Check(frame.Length - PrefixSize);
            BinaryPrimitives.WriteUInt32BigEndian(MemoryMarshal.AsMemory(frame).Span[1..], (uint)(frame.Length - PrefixSize));
            return frame;
        }

        private static ArrayBufferWriter<byte> Start(int payloadLength)
        {
            var writer = new ArrayBufferWriter<byte>(PrefixSize + payloadLength);
            writer.GetSpan(PrefixSize)[..PrefixSize].Clear();
            writer.Advance(PrefixSize);
            return writer;
        }

        private void Check(int payloadLength)
        {
            if (payloadLength > maxSize)
                throw Failure(StatusCode.ResourceExhausted, $"Message of {payloadLength} bytes to send exceeds the limit of {maxSize} bytes.");
        }
    }
}
