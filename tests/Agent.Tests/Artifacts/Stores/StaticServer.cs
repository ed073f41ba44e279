using System.Collections.Concurrent;
using System.Net;
using Agent.Artifacts;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Agent.Tests.Artifacts.Stores;

/// <summary>A static web server over a directory, on loopback, that can be made to misbehave. Counts what it sends.</summary>
internal sealed class StaticServer : IAsyncDisposable
{
    private readonly WebApplication app;
    private long sent;

    private StaticServer(WebApplication app) => this.app = app;

    public Uri Url { get; private set; } = null!;

    public ConcurrentQueue<string> Requests { get; } = [];

    public long BytesSent => Interlocked.Read(ref sent);

    /// <summary>Answers whole objects whatever range is asked for.</summary>
    public bool NoRanges { get; set; }

    public bool NoTags { get; set; }

    /// <summary>Bodies of objects longer than this are cut there, the connection with them.</summary>
    public int? CutAfter { get; set; }

    /// <summary>How many times <see cref="CutAfter"/> happens.</summary>
    public int Cuts { get; set; } = int.MaxValue;

    /// <summary>The next this many requests are answered with 500.</summary>
    public int Failures { get; set; }

    /// <summary>Applied to every whole object before it is sent.</summary>
    public Func<string, byte[], byte[]>? Change { get; set; }

    /// <summary>Answers instead of the files when it returns true.</summary>
    public Func<HttpContext, Task<bool>>? Instead { get; set; }

    public static async Task<StaticServer> StartAsync(string directory)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrel(options => options.Listen(IPAddress.Loopback, 0));
        WebApplication app = builder.Build();
        var server = new StaticServer(app);
        app.Run(context => server.AnswerAsync(context, directory));
        await app.StartAsync();
        server.Url = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single());
        return server;
    }

    public async ValueTask DisposeAsync()
    {
        await app.StopAsync(new CancellationToken(canceled: true));
        await app.DisposeAsync();
    }

    private async Task AnswerAsync(HttpContext context, string directory)
    {
        string path = Uri.UnescapeDataString(context.Request.Path.Value!.TrimStart('/'));
        Requests.Enqueue($"{path} {context.Request.Headers.Range}".TrimEnd());
        if (Instead is { } instead && await instead(context)) return;
        if (Failures > 0)
        {
            Failures--;
            context.Response.StatusCode = 500;
            return;
        }
        string file = Path.Combine(directory, path);
        if (!File.Exists(file))
        {
            context.Response.StatusCode = 404;
            return;
        }
        byte[] bytes = await File.ReadAllBytesAsync(file);
        string tag = $"\"{Digest.Of(bytes).Short}\"";
        if (Change is { } change) bytes = change(path, bytes);
        if (!NoTags)
        {
            context.Response.Headers.ETag = tag;
            if (context.Request.Headers.IfNoneMatch == tag)
            {
                context.Response.StatusCode = 304;
                return;
            }
        }
        int from = 0, to = bytes.Length;
        string range = context.Request.Headers.Range.ToString();
        string ifRange = context.Request.Headers.IfRange.ToString();
        if (!NoRanges && range.Length > 0 && (ifRange.Length == 0 || ifRange == tag))
        {
            string[] ends = range["bytes=".Length..].Split('-');
            from = int.Parse(ends[0]);
            if (ends[1].Length > 0) to = (int)Math.Min(bytes.Length, long.Parse(ends[1]) + 1);
            if (from >= bytes.Length)
            {
                context.Response.StatusCode = 416;
                return;
            }
            context.Response.StatusCode = 206;
            context.Response.Headers.ContentRange = $"bytes {from}-{to - 1}/{bytes.Length}";
        }
        context.Response.ContentLength = to - from;
        bool cut = CutAfter is { } limit && to - from > limit && Cuts > 0;
        if (cut)
        {
            Cuts--;
            to = from + CutAfter!.Value;
        }
        // Before they go out: the client may be done before this goes on.
        Interlocked.Add(ref sent, to - from);
        await context.Response.Body.WriteAsync(bytes.AsMemory(from, to - from));
        if (!cut) return;
        await context.Response.Body.FlushAsync();
        // What was flushed shall arrive before the reset.
        await Task.Delay(50);
        context.Abort();
    }
}
