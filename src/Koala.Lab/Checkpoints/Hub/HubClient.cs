using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;

namespace Koala.Lab.Checkpoints.Hub;

/// <summary>Sends requests to the hub. It handles redirects, the token, timeouts and errors.</summary>
internal sealed class HubClient : IDisposable
{
    private const int MostRedirects = 10;

    private readonly HubSettings _settings;
    private readonly RetryPolicy _policy;
    private readonly Uri _endpoint;
    private readonly HttpClient _http;

    public HubClient(HubSettings settings, RetryPolicy policy)
    {
        (_settings, _policy, _endpoint) = (settings, policy, new Uri(settings.Endpoint));
        // This class follows redirects itself: the hub redirects to other hosts for large files, and they must not get the token.
        var handler = new SocketsHttpHandler { AllowAutoRedirect = false, ConnectTimeout = policy.Connect, UseCookies = false };
        _http = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
        var version = typeof(HubClient).Assembly.GetName().Version!.ToString(3);
        _http.DefaultRequestHeaders.UserAgent.Add(new ProductInfoHeaderValue("koala", version));
        // Sizes and offsets count the file's own bytes.
        _http.DefaultRequestHeaders.AcceptEncoding.Add(new StringWithQualityHeaderValue("identity"));
    }

    /// <summary>Requests a file or a listing from byte <paramref name="from"/> on.</summary>
    /// <param name="what">What is requested, for messages.</param>
    /// <param name="path">Its address relative to the endpoint.</param>
    /// <param name="from">The index of the first byte to get; 0 gets all bytes.</param>
    /// <param name="tag">
    /// The ETag of the bytes before <paramref name="from"/>, if it is known. If the content has changed, the hub then sends all of it.
    /// </param>
    /// <param name="cancel">Cancels the request.</param>
    /// <returns>
    /// A response with status 200 and all bytes, 206 and the remaining bytes, or 416 if there are no bytes from
    /// <paramref name="from"/> on. The body has not been read yet.
    /// </returns>
    /// <exception cref="TransientHubException">Another attempt may succeed.</exception>
    /// <exception cref="KoalaException">The hub refuses, or it does not have the file or the repository.</exception>
    public async Task<HttpResponseMessage> GetAsync(
        HubName what, string path, long from, EntityTagHeaderValue? tag, CancellationToken cancel)
    {
        var url = new Uri($"{_settings.Endpoint}/{path}");
        for (var redirects = 0; ; redirects++)
        {
            var response = await SendAsync(url, from, tag, cancel);
            if (response.StatusCode is HttpStatusCode.OK or HttpStatusCode.PartialContent or HttpStatusCode.RequestedRangeNotSatisfiable)
                return response;
            using (response)
            {
                if ((int)response.StatusCode is not (301 or 302 or 303 or 307 or 308))
                    throw HubErrors.Fault(response, what, _settings, IsHub(url));
                if (redirects == MostRedirects)
                    throw new KoalaException(what.ToString(), $"is redirected more than {MostRedirects} times",
                        "try again later, or check HF_ENDPOINT");
                url = RedirectTarget(response, url, what);
            }
        }
    }

    /// <summary>Reads the body of a response in chunks.</summary>
    /// <param name="response">The response.</param>
    /// <param name="receive">Called with each chunk.</param>
    /// <param name="cancel">Cancels reading.</param>
    /// <exception cref="TransientHubException">The connection ended early, or no more bytes arrived in time.</exception>
    public async Task ReadAsync(HttpResponseMessage response, Action<ReadOnlyMemory<byte>> receive, CancellationToken cancel)
    {
        using var idle = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var buffer = new byte[1 << 17];
        using var body = await Watch(() => response.Content.ReadAsStreamAsync(idle.Token), idle, cancel);
        while (await Watch(() => body.ReadAsync(buffer, idle.Token).AsTask(), idle, cancel) is > 0 and var count)
            receive(buffer.AsMemory(0, count));
    }

    /// <inheritdoc/>
    public void Dispose() => _http.Dispose();

    private async Task<HttpResponseMessage> SendAsync(Uri url, long from, EntityTagHeaderValue? tag, CancellationToken cancel)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, url);
        if (IsHub(url) && _settings.Token is { } token) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        if (from > 0)
        {
            request.Headers.Range = new RangeHeaderValue(from, null);
            if (tag is { IsWeak: false }) request.Headers.IfRange = new RangeConditionHeaderValue(tag);
        }
        using var idle = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        return await Watch(() => _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, idle.Token), idle, cancel);
    }

    private async Task<T> Watch<T>(Func<Task<T>> work, CancellationTokenSource idle, CancellationToken cancel)
    {
        idle.CancelAfter(_policy.Idle);
        try
        {
            return await work();
        }
        catch (OperationCanceledException e) when (!cancel.IsCancellationRequested)
        {
            throw new TransientHubException("the connection stalled", inner: e);
        }
        catch (HttpRequestException e) when (e.HttpRequestError == HttpRequestError.SecureConnectionError)
        {
            throw new KoalaException(_settings.Endpoint,
                $"no secure connection can be made ({(e.InnerException ?? e).Message.TrimEnd('.')})",
                "check the machine's clock and certificates, or HF_ENDPOINT", e);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or SocketException)
        {
            throw new TransientHubException($"the connection failed ({Reason(e)})", inner: e);
        }
    }

    // Only the hub itself gets the token: the same scheme, host and port.
    private bool IsHub(Uri url) => Uri.Compare(
        url, _endpoint, UriComponents.SchemeAndServer, UriFormat.SafeUnescaped, StringComparison.OrdinalIgnoreCase) == 0;

    private static Uri RedirectTarget(HttpResponseMessage response, Uri url, HubName what)
    {
        if (response.Headers.Location is not { } location || !Uri.TryCreate(url, location, out var target)
            || target.Scheme is not ("http" or "https"))
            throw new KoalaException(what.ToString(), $"is redirected by {url.Host}, but not to a valid address",
                "try again later, or check HF_ENDPOINT");
        return url.Scheme == "https" && target.Scheme == "http"
            ? throw new KoalaException(what.ToString(), $"is redirected from https to http ({target.Host})",
                "check HF_ENDPOINT: Koala does not trust an unencrypted download")
            : target;
    }

    private static string Reason(Exception e)
    {
        var cause = e is HttpRequestException { InnerException: { } inner } ? inner : e;
        return MessageText.Text(cause.Message.TrimEnd('.'));
    }
}
