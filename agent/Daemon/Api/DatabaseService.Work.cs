using System.Threading.Channels;
using Grpc.Core;

namespace Agent.Daemon.Api;

/// <summary>Long work: what is told on the way, then what it came to.</summary>
internal sealed partial class DatabaseService
{
    private const int MostMessages = 100;

    /// <summary>Streams what the work tells on its way, then what it came to. Who asked and goes away ends it.</summary>
    /// <param name="wish">Null: a question.</param>
    private Task WorkAsync<T>(
        ServerCallContext context, Wish? wish, IServerStreamWriter<T> responseStream, Func<V1.DatabaseProgress, T> told, Func<Caller, IProgress<string>, CancellationToken, Task<T>> work) =>
        calls.StreamAsync(context, async (caller, cancellationToken) =>
        {
            var messages = Channel.CreateBounded<string>(new BoundedChannelOptions(MostMessages) { FullMode = BoundedChannelFullMode.DropOldest });
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            Task<T> working = work(caller, new ToChannel(messages.Writer), stop.Token);
            _ = working.ContinueWith(_ => messages.Writer.Complete(), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
            try
            {
                await foreach (string message in messages.Reader.ReadAllAsync(cancellationToken))
                    await responseStream.WriteAsync(told(new V1.DatabaseProgress { Message = PlainText.Of(message, 400) }), cancellationToken);
            }
            catch
            {
                await stop.CancelAsync();
                await working.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);   // nothing goes on behind a call that has ended
                throw;
            }
            await responseStream.WriteAsync(await working, cancellationToken);
        }, wish);

    private sealed class ToChannel(ChannelWriter<string> messages) : IProgress<string>
    {
        public void Report(string value) => messages.TryWrite(value);
    }
}
