using System.Runtime.CompilerServices;
using Agent.Artifacts;
using Agent.Protos;
using Agent.V1;
using Grpc.Core;
using Grpc.Net.Client;

namespace Agent.Cli.Hosts;

/// <summary>One agent. Every failure comes out as an <see cref="OperatorException"/>.</summary>
internal sealed class AgentConnection : IDisposable
{
    /// <summary>An agent that does not answer in this time is taken for hung. A health check may take its own timeout, a few seconds.</summary>
    private static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(30);

    private readonly IDialer dialer;
    private readonly TimeProvider time;
    private readonly SocketsHttpHandler handler;
    private readonly GrpcChannel channel;
    private readonly AgentService.AgentServiceClient client;
    private readonly DatabaseService.DatabaseServiceClient database;
    private readonly PushService.PushServiceClient push;
    private readonly RolloutService.RolloutServiceClient rollouts;
    private readonly AccessService.AccessServiceClient access;
    private OperatorException? failure;

    /// <summary>To the agent of this machine.</summary>
    public AgentConnection(string socket, TimeProvider time) : this(new HostEntry(Targets.Local, new HostAddress.Local(socket)), new SocketDialer(socket), time)
    {
    }

    /// <param name="dialer">Disposed with this.</param>
    public AgentConnection(HostEntry host, IDialer dialer, TimeProvider time)
    {
        Host = host;
        this.dialer = dialer;
        this.time = time;
        handler = new SocketsHttpHandler
        {
            ConnectCallback = async (_, cancellationToken) => await ConnectAsync(cancellationToken),
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            ActivityHeadersPropagator = null,
            // A stream has no deadline: an agent that is gone without a word, as behind a cut network, answers no ping.
            KeepAlivePingDelay = TimeSpan.FromSeconds(15),
            KeepAlivePingTimeout = TimeSpan.FromSeconds(10),
            KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
        };
        channel = GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions { HttpHandler = handler });
        client = new AgentService.AgentServiceClient(channel);
        database = new DatabaseService.DatabaseServiceClient(channel);
        push = new PushService.PushServiceClient(channel);
        rollouts = new RolloutService.RolloutServiceClient(channel);
        access = new AccessService.AccessServiceClient(channel);
    }

    public HostEntry Host { get; }

    /// <summary>Asks one question.</summary>
    /// <param name="limit">Null: 30 s.</param>
    public Task<T> AskAsync<T>(
        Func<AgentService.AgentServiceClient, CallOptions, AsyncUnaryCall<T>> question, CancellationToken cancellationToken, TimeSpan? limit = null) =>
        AskAsync(options => question(client, options), limit, cancellationToken);

    /// <summary>Asks one question about a database.</summary>
    /// <param name="limit">Null: 30 s.</param>
    public Task<T> AskDatabaseAsync<T>(
        Func<DatabaseService.DatabaseServiceClient, CallOptions, AsyncUnaryCall<T>> question, CancellationToken cancellationToken, TimeSpan? limit = null) =>
        AskAsync(options => question(database, options), limit, cancellationToken);

    /// <summary>Asks one question about rollouts.</summary>
    public Task<T> AskRolloutsAsync<T>(Func<RolloutService.RolloutServiceClient, CallOptions, AsyncUnaryCall<T>> question, CancellationToken cancellationToken) =>
        AskAsync(options => question(rollouts, options), null, cancellationToken);

    /// <summary>Asks one question about who may call over the network.</summary>
    public Task<T> AskAccessAsync<T>(Func<AccessService.AccessServiceClient, CallOptions, AsyncUnaryCall<T>> question, CancellationToken cancellationToken) =>
        AskAsync(options => question(access, options), null, cancellationToken);

    /// <summary>Asks for a stream; it ends when the agent ends it.</summary>
    public IAsyncEnumerable<T> StreamAsync<T>(Func<AgentService.AgentServiceClient, CallOptions, AsyncServerStreamingCall<T>> question, CancellationToken cancellationToken) =>
        StreamAsync(options => question(client, options), cancellationToken);

    /// <summary>Asks for a stream about a database; it ends when the agent ends it.</summary>
    public IAsyncEnumerable<T> StreamDatabaseAsync<T>(Func<DatabaseService.DatabaseServiceClient, CallOptions, AsyncServerStreamingCall<T>> question, CancellationToken cancellationToken) =>
        StreamAsync(options => question(database, options), cancellationToken);

    /// <summary>Brings a release along.</summary>
    public async Task<PushDone> PushAsync(PushSender sender, PushStart start, IProgress<PushProgress> progress, CancellationToken cancellationToken)
    {
        try
        {
            using AsyncDuplexStreamingCall<PushRequest, PushReply> call = push.Push(new CallOptions(cancellationToken: cancellationToken));
            return await sender.RunAsync(call, start, progress, cancellationToken);
        }
        catch (RpcException e)
        {
            cancellationToken.ThrowIfCancellationRequested();
            throw Explain(e);
        }
    }

    private async Task<T> AskAsync<T>(Func<CallOptions, AsyncUnaryCall<T>> question, TimeSpan? limit, CancellationToken cancellationToken)
    {
        try
        {
            DateTime deadline = (time.GetUtcNow() + (limit ?? AnswerLimit)).UtcDateTime;
            using AsyncUnaryCall<T> call = question(new CallOptions(deadline: deadline, cancellationToken: cancellationToken));
            return await call.ResponseAsync;
        }
        catch (RpcException e)
        {
            cancellationToken.ThrowIfCancellationRequested();
            throw Explain(e);
        }
    }

    private async IAsyncEnumerable<T> StreamAsync<T>(Func<CallOptions, AsyncServerStreamingCall<T>> question, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using AsyncServerStreamingCall<T> call = question(new CallOptions(cancellationToken: cancellationToken));
        while (true)
        {
            try
            {
                if (!await call.ResponseStream.MoveNext(cancellationToken)) yield break;
            }
            catch (RpcException e)
            {
                cancellationToken.ThrowIfCancellationRequested();
                throw Explain(e);
            }
            yield return call.ResponseStream.Current;
        }
    }

    public void Dispose()
    {
        channel.Dispose();
        handler.Dispose();
        dialer.Dispose();
    }

    private async ValueTask<Stream> ConnectAsync(CancellationToken cancellationToken)
    {
        try
        {
            Stream connection = await dialer.ConnectAsync(cancellationToken);
            failure = null;
            return connection;
        }
        catch (OperatorException e)
        {
            failure = e;    // which the HTTP client hides
            throw;
        }
    }

    private OperatorException Explain(RpcException e)
    {
        if (Errors.FromException(e) is { } told)
        {
            ExitCode code = told.ExitCode is > 0 and <= (int)ExitCode.Refused ? (ExitCode)told.ExitCode : ExitCode.Unreachable;
            return new OperatorException(code, told.What, told.Remedy, e);
        }
        if (failure is not null) return failure;
        if (dialer.Failure is { } known) return known;
        return e.StatusCode switch
        {
            StatusCode.Unavailable => new OperatorException(ExitCode.Unreachable, "agentd went away before it had answered", "systemctl status agentd, then try again", e),
            StatusCode.DeadlineExceeded => new OperatorException(ExitCode.Unreachable, "agentd did not answer in time", "journalctl -u agentd -n 50", e),
            StatusCode.Unimplemented => new OperatorException(ExitCode.Usage, $"this agentd does not know that command; it is not of version {AgentCtl.Version} like agentctl", "agentctl version, then upgrade the older one", e),
            _ => new OperatorException(ExitCode.Unreachable, $"agentd failed: {e.Status.Detail} ({e.StatusCode})", "journalctl -u agentd -n 50", e),
        };
    }
}
