using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using Polly;
using Polly.Retry;

namespace Agent.Artifacts.Stores;

/// <summary>
/// A store behind any static HTTP(S) server. Answers are bounded in header size, in time and in rate; redirects are not followed,
/// since a store is at one place; a request that failed in a way that may pass is made three times.
/// </summary>
internal sealed class HttpStore : IStoreReader, IDisposable
{
    private const int Attempts = 3, RememberedTags = 256;
    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(10), HeaderTimeout = TimeSpan.FromSeconds(20);

    private readonly Uri root;
    private readonly TimeProvider time;
    private readonly HttpClient client;
    private readonly ResiliencePipeline<HttpResponseMessage> retry;
    private readonly ConcurrentDictionary<string, EntityTagHeaderValue> tags = new(StringComparer.Ordinal);

    /// <param name="url">Where <c>metadata/</c> lies below; user and password in it are sent as basic authentication.</param>
    public HttpStore(Uri url, TimeProvider time)
    {
        this.time = time;
        root = new Uri(url.GetComponents(UriComponents.SchemeAndServer | UriComponents.Path, UriFormat.UriEscaped).TrimEnd('/') + "/");
        client = new HttpClient(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            AutomaticDecompression = DecompressionMethods.None,
            ConnectTimeout = ConnectTimeout,
            MaxResponseHeadersLength = 32,
            PooledConnectionIdleTimeout = TimeSpan.FromMinutes(2),
            PooledConnectionLifetime = TimeSpan.FromMinutes(10),
            UseCookies = false,
        })
        {
            Timeout = Timeout.InfiniteTimeSpan,
        };
        if (url.UserInfo.Length > 0)
            client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(Uri.UnescapeDataString(url.UserInfo))));
        retry = new ResiliencePipelineBuilder<HttpResponseMessage> { TimeProvider = time }
            .AddRetry(new RetryStrategyOptions<HttpResponseMessage>
            {
                ShouldHandle = arguments => ValueTask.FromResult(MayPass(arguments.Outcome)),
                MaxRetryAttempts = Attempts - 1,
                Delay = TimeSpan.FromMilliseconds(500),
                BackoffType = DelayBackoffType.Exponential,
                UseJitter = true,
                OnRetry = static arguments =>
                {
                    arguments.Outcome.Result?.Dispose();
                    return ValueTask.CompletedTask;
                },
            })
            .Build();
    }

    public string Description => root.AbsoluteUri;

    public Task<StoreObject?> OpenAsync(string path, long offset, string? ifNoneMatch, CancellationToken cancellationToken) =>
        GetAsync(path, offset, null, ifNoneMatch, cancellationToken);

    public async Task<StoreObject> OpenRangeAsync(string path, long offset, long length, CancellationToken cancellationToken) =>
        (await GetAsync(path, offset, offset + length - 1, ifNoneMatch: null, cancellationToken))!;

    public void Dispose() => client.Dispose();

    private async Task<StoreObject?> GetAsync(string path, long offset, long? last, string? ifNoneMatch, CancellationToken cancellationToken)
    {
        var url = new Uri(root, string.Join('/', StorePath.Checked(path).Split('/').Select(Uri.EscapeDataString)));
        HttpResponseMessage response;
        try
        {
            response = await retry.ExecuteAsync(async token => await SendAsync(url, path, offset, last, ifNoneMatch, token), cancellationToken);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or TimeoutException)
        {
            throw Unreachable($"{Description} cannot be reached: {Innermost(e)}", e);
        }
        try
        {
            return await AnswerAsync(response, path, offset, ifNoneMatch, cancellationToken);
        }
        catch
        {
            response.Dispose();
            throw;
        }
    }

    private async Task<StoreObject?> AnswerAsync(HttpResponseMessage response, string path, long offset, string? ifNoneMatch, CancellationToken cancellationToken)
    {
        switch (response.StatusCode)
        {
            case HttpStatusCode.NotModified when ifNoneMatch is not null:
                response.Dispose();
                return null;
            // 403 is how S3 says that there is nothing, to those who may not list.
            case HttpStatusCode.NotFound or HttpStatusCode.Gone or HttpStatusCode.Forbidden:
                throw new StoreObjectMissingException(Description, path);
            case HttpStatusCode.OK:
                offset = 0;
                break;
            case HttpStatusCode.PartialContent when response.Content.Headers.ContentRange?.From == offset:
                break;
            case >= HttpStatusCode.MultipleChoices and < HttpStatusCode.BadRequest:
                throw Unreachable($"{Description} answers {(int)response.StatusCode} for {path}, and redirects are not followed", null);
            default:
                throw Unreachable($"{Description} answers {(int)response.StatusCode} for {path}", null);
        }
        EntityTagHeaderValue? tag = response.Headers.ETag;
        if (tags.Count >= RememberedTags) tags.Clear();
        if (tag is { IsWeak: false }) tags[path] = tag;
        else tags.TryRemove(path, out _);
        Stream content = await response.Content.ReadAsStreamAsync(cancellationToken);
        return new StoreObject(new PacedStream(content, response, $"{path} from {Description}", time), offset, tag?.ToString());
    }

    private async Task<HttpResponseMessage> SendAsync(Uri url, string path, long offset, long? last, string? ifNoneMatch, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, url);
        if (offset > 0 || last is not null)
        {
            request.Headers.Range = new RangeHeaderValue(offset, last);
            // Objects are named by their content; this spares the bytes of one that was changed all the same.
            if (offset > 0 && tags.TryGetValue(path, out EntityTagHeaderValue? tag)) request.Headers.IfRange = new RangeConditionHeaderValue(tag);
        }
        if (ifNoneMatch is not null && EntityTagHeaderValue.TryParse(ifNoneMatch, out EntityTagHeaderValue? known)) request.Headers.IfNoneMatch.Add(known);

        using var late = new CancellationTokenSource(HeaderTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, late.Token);
        try
        {
            return await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, either.Token);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException($"no answer within {HeaderTimeout.TotalSeconds:0} s", e);
        }
    }

    private static bool MayPass(Outcome<HttpResponseMessage> outcome) => outcome.Exception is HttpRequestException or IOException or TimeoutException
        || outcome.Result?.StatusCode is HttpStatusCode.RequestTimeout or HttpStatusCode.TooManyRequests or >= HttpStatusCode.InternalServerError;

    private static string Innermost(Exception e) => e.GetBaseException() is SocketException socket ? socket.Message : e.GetBaseException().Message;

    internal static OperatorException Unreachable(string what, Exception? cause) =>
        new(ExitCode.Unreachable, what, "check the store's URL, its server and the network, then try again", cause);
}
