using System.Net;
using System.Net.Sockets;

namespace Agent.Tests.Fakes;

/// <summary>Between an app and its server: passes everything on, until the answer to a COMMIT is lost, and the connection with it.</summary>
internal sealed class LossyProxy : IAsyncDisposable
{
    private readonly TcpListener listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource stop = new();
    private readonly int server;
    private readonly Task accepting;
    private int commits;

    /// <param name="server">Port on loopback, without TLS.</param>
    public LossyProxy(int server)
    {
        this.server = server;
        listener.Start();
        accepting = AcceptAsync();
    }

    public int Port => ((IPEndPoint)listener.LocalEndpoint).Port;

    /// <summary>Number of the COMMIT whose answer is lost, from 1; 0: none.</summary>
    public int Loses { get; set; }

    /// <summary>The server's answer came, and was not passed on.</summary>
    public bool Lost { get; private set; }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        listener.Dispose();
        await accepting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (true)
        {
            TcpClient client = await listener.AcceptTcpClientAsync(stop.Token);
            _ = PassAsync(client);
        }
    }

    private async Task PassAsync(TcpClient client)
    {
        using TcpClient here = client, there = new();
        await there.ConnectAsync(IPAddress.Loopback, server, stop.Token);
        NetworkStream app = here.GetStream(), database = there.GetStream();
        bool loses = false;
        async Task UpAsync()
        {
            byte[] buffer = new byte[1 << 16];
            for (int read; (read = await app.ReadAsync(buffer, stop.Token)) > 0;)
            {
                // 'Q', its length, and the text with a NUL behind it; all answers to what came before have been read.
                if (buffer.AsSpan(0, read).IndexOf("COMMIT\0"u8) >= 0 && ++commits == Loses) loses = true;
                await database.WriteAsync(buffer.AsMemory(0, read), stop.Token);
            }
        }
        async Task DownAsync()
        {
            byte[] buffer = new byte[1 << 16];
            for (int read; (read = await database.ReadAsync(buffer, stop.Token)) > 0;)
            {
                if (loses)
                {
                    Lost = true;
                    return;
                }
                await app.WriteAsync(buffer.AsMemory(0, read), stop.Token);
            }
        }
        await Task.WhenAny(UpAsync(), DownAsync());   // both ends are closed behind it
    }
}
