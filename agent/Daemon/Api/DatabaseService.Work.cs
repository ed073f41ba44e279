using System.Threading.Channels;
using Agent.Daemon.Migrations;
using Grpc.Core;

namespace Agent.Daemon.Api;

/// <summary>Long work: what is told on the way, then what it came to.</summary>
internal sealed partial class DatabaseService
{
    private const int MostMessages = 100;

    /// <summary>Streams what the work tells on its way, then what it came to. Who asked and goes away ends it.</summary>
    /// <param name="wish">Null: a question.</param>
    private Task WorkAsync<T>(
        ServerCallContext context, Wish? wish, IServerStreamWriter<T> responseStream, Func<V1.DatabaseProgress, T> told, Func<Caller, IWorkProgress, CancellationToken, Task<T>> work) =>
        calls.StreamAsync(context, async (caller, cancellationToken) =>
        {
            var messages = Channel.CreateBounded<V1.DatabaseProgress>(new BoundedChannelOptions(MostMessages) { FullMode = BoundedChannelFullMode.DropOldest });
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            Task<T> working = work(caller, new ToChannel(messages.Writer), stop.Token);
            _ = working.ContinueWith(_ => messages.Writer.Complete(), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
            try
            {
                await foreach (V1.DatabaseProgress message in messages.Reader.ReadAllAsync(cancellationToken)) await responseStream.WriteAsync(told(message), cancellationToken);
            }
            catch
            {
                await stop.CancelAsync();
                await working.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);   // nothing goes on behind a call that has ended
                throw;
            }
            await responseStream.WriteAsync(await working, cancellationToken);
        }, wish);

    private sealed class ToChannel(ChannelWriter<V1.DatabaseProgress> messages) : IWorkProgress
    {
        public void Report(string value) => Report(value, 0, 0);

        public void Report(string what, long done, long total) => messages.TryWrite(new V1.DatabaseProgress { Message = PlainText.Of(what, LongestText), Done = done, Total = total });
    }
}
