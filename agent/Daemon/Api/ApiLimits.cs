using System.Net;
using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Agent.Daemon.Api;

/// <summary>What callers may take of the agent, however many they are and whatever they send.</summary>
internal static partial class ApiLimits
{
    /// <summary>Bytes of a request message: the largest is a piece of a release that is pushed, or the plan of a rollout over a thousand hosts.</summary>
    public const int Message = 512 << 10;

    /// <summary>Of all headers of a call.</summary>
    public const int HeaderBytes = 16 << 10, Headers = 64;

    /// <summary>Calls at once in one connection.</summary>
    public const int Streams = 16;

    private const int LimitOfDescriptors = 7;   // RLIMIT_NOFILE of <asm-generic/resource.h>

    /// <summary>
    /// How many may be connected at once: far more than people and programs need, and of the descriptors a quarter at most to the socket and an eighth to the
    /// network, so that neither starves the other. The rest is for deployments, and for the runtime, which ends the process when it gets none.
    /// </summary>
    /// <param name="descriptors">What the process may have open.</param>
    public static ConnectionLimit Connections(EndPoint endpoint, ulong descriptors)
    {
        if (endpoint is not IPEndPoint) return new ConnectionLimit((int)Math.Clamp(descriptors / 4, 1, 1000), null);
        int most = (int)Math.Clamp(descriptors / 8, 1, 500);
        return new ConnectionLimit(most, Math.Max(1, most / 4));
    }

    /// <summary>What this process may have open at once. The runtime has raised it as far as the unit's LimitNOFILE lets it.</summary>
    public static ulong Descriptors() => NativeGetLimit(LimitOfDescriptors, out Limit limit) == 0
        ? limit.Now
        : throw new IOException($"getrlimit: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}");

    public static void Set(KestrelServerOptions kestrel)
    {
        kestrel.AddServerHeader = false;
        kestrel.AllowAlternateSchemes = true;       // who makes TLS beside HTTP, as agentctl does, says http inside of it
        KestrelServerLimits limits = kestrel.Limits;
        limits.MaxConcurrentConnections = null;     // BoundedListener's, which does not accept first
        limits.MaxRequestHeadersTotalSize = HeaderBytes;
        limits.MaxRequestHeaderCount = Headers;
        limits.MaxRequestBodySize = Message + 5;    // of a call with one message; streams are bounded message by message
        limits.RequestHeadersTimeout = TimeSpan.FromSeconds(10);
        limits.KeepAliveTimeout = TimeSpan.FromMinutes(1);   // of a connection without a call
        limits.MinRequestBodyDataRate = new MinDataRate(bytesPerSecond: 240, gracePeriod: TimeSpan.FromSeconds(5));
        limits.MinResponseDataRate = null;   // who follows logs in a paused terminal reads nothing for hours
        limits.Http2.MaxStreamsPerConnection = Streams;
        limits.Http2.MaxRequestHeaderFieldSize = HeaderBytes;
        // A peer that is gone without a word, as behind a cut network, answers no ping.
        limits.Http2.KeepAlivePingDelay = TimeSpan.FromSeconds(30);
        limits.Http2.KeepAlivePingTimeout = TimeSpan.FromSeconds(20);
    }

    [LibraryImport("libc", EntryPoint = "getrlimit", SetLastError = true)]
    private static partial int NativeGetLimit(int resource, out Limit limit);

    // <sys/resource.h> of 64-bit Linux.
    [StructLayout(LayoutKind.Sequential)]
    private struct Limit
    {
        public ulong Now;
        public ulong Most;
    }
}
