using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Agent.Daemon.Hosting;

/// <summary>Tells systemd how the service is. Does nothing where systemd did not start it.</summary>
/// <remarks>
/// Source: sd_notify(3): one datagram with lines of NAME=value. Telling never fails and never blocks for long: the agent
/// goes on without it, and systemd draws its own conclusions.
/// </remarks>
/// <param name="socket">Path of systemd's socket (an abstract one begins with <c>@</c>); null or empty: nobody listens.</param>
/// <param name="watchdog">Silence after which systemd kills the service; null: it does not watch.</param>
internal sealed class Notify(string? socket, TimeSpan? watchdog)
{
    /// <summary>STATUS= is shown on one line of <c>systemctl status</c>.</summary>
    private const int StatusLimit = 300;

    private readonly Lock turn = new();
    private string? lastStatus;

    /// <summary>False: nobody listens, so nothing needs to be made up for.</summary>
    public bool IsEnabled => !string.IsNullOrEmpty(socket);

    /// <summary>Silence after which systemd kills the service; null where it does not watch.</summary>
    public TimeSpan? Watchdog => IsEnabled ? watchdog : null;

    public static Notify FromEnvironment() => From(Environment.GetEnvironmentVariable, Environment.ProcessId);

    /// <param name="variable">NOTIFY_SOCKET, WATCHDOG_USEC (microseconds) and WATCHDOG_PID (whom it concerns, where it is set).</param>
    public static Notify From(Func<string, string?> variable, int processId)
    {
        bool isOurs = variable("WATCHDOG_PID") is not { Length: > 0 } pid || pid == processId.ToString(CultureInfo.InvariantCulture);
        TimeSpan? watchdog = isOurs && long.TryParse(variable("WATCHDOG_USEC"), NumberStyles.None, CultureInfo.InvariantCulture, out long microseconds)
            && microseconds is > 0 and < long.MaxValue / TimeSpan.TicksPerMicrosecond
            ? TimeSpan.FromMicroseconds(microseconds)
            : null;
        return new Notify(variable("NOTIFY_SOCKET"), watchdog);
    }

    public void Ready(string status) => Send($"READY=1\nSTATUS={OneLine(status)}");

    /// <summary>Also ends the time for starting or stopping at the earliest after <paramref name="time"/> from now.</summary>
    public void Extend(TimeSpan time, string status) =>
        Send($"EXTEND_TIMEOUT_USEC={(long)time.TotalMicroseconds}\nSTATUS={OneLine(status)}");

    /// <summary>What <c>systemctl status</c> shows. Sent only when it changed.</summary>
    public void Status(string status)
    {
        lock (turn)
        {
            if (status == lastStatus) return;
            lastStatus = status;
        }
        Send($"STATUS={OneLine(status)}");
    }

    public void Stopping() => Send("STOPPING=1\nSTATUS=stopping");

    public void Alive() => Send("WATCHDOG=1");

    private static string OneLine(string status)
    {
        string line = status.ReplaceLineEndings(" ");
        return line.Length <= StatusLimit ? line : line[..StatusLimit];
    }

    private void Send(string lines)
    {
        if (string.IsNullOrEmpty(socket)) return;
        try
        {
            using var client = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified) { SendTimeout = 1000 };
            client.SendTo(Encoding.UTF8.GetBytes(lines), new UnixDomainSocketEndPoint(socket[0] == '@' ? '\0' + socket[1..] : socket));
        }
        catch (Exception e) when (e is SocketException or ArgumentException or IOException)
        {
            // Nobody to tell.
        }
    }
}
