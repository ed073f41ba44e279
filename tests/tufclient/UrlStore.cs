using System.Net;
using Agent.Artifacts;
using Agent.Artifacts.Stores;

namespace Agent.TufClient;

/// <summary>A store whose metadata and targets lie at two URLs that the suite gives. Paths arrive quoted, as the suite compares them.</summary>
internal sealed class UrlStore(string metadataUrl, string targetUrl) : IStoreReader, IDisposable
{
    private readonly HttpClient http = new() { Timeout = TimeSpan.FromSeconds(30) };

    public string Description => metadataUrl;

    public async Task<StoreObject?> OpenAsync(string path, long offset, string? ifNoneMatch, CancellationToken cancellationToken)
    {
        (string top, string rest) = path.StartsWith("metadata/", StringComparison.Ordinal) ? (metadataUrl, path["metadata/".Length..]) : (targetUrl, path["targets/".Length..]);
        // Otherwise Uri would decode and normalise the names of roles that look like paths.
        var url = new Uri($"{top.TrimEnd('/')}/{rest}", new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true });
        HttpResponseMessage response;
        try
        {
            response = await http.GetAsync(url, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        }
        catch (HttpRequestException e)
        {
            throw new OperatorException(ExitCode.Unreachable, $"{url} cannot be reached: {e.Message}", "check the network", e);
        }
        if (response.StatusCode is HttpStatusCode.NotFound or HttpStatusCode.Forbidden) throw new StoreObjectMissingException(metadataUrl, path);
        if (!response.IsSuccessStatusCode) throw new OperatorException(ExitCode.Unreachable, $"{url} answers {(int)response.StatusCode}", "look at the store's log");
        return new StoreObject(await response.Content.ReadAsStreamAsync(cancellationToken), 0, response.Headers.ETag?.Tag);
    }

    public void Dispose() => http.Dispose();
}
