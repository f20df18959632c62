using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;

namespace Koala.Lab.Checkpoints.Hub;

/// <summary>One request to the hub: redirects, the token, timeouts, and what an answer means.</summary>
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
        // Redirects are followed here, by hand: the hub sends large files to other hosts, and the token must not go there.
        _http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, ConnectTimeout = policy.Connect, UseCookies = false }) { Timeout = Timeout.InfiniteTimeSpan };
        _http.DefaultRequestHeaders.UserAgent.Add(new ProductInfoHeaderValue("koala", typeof(HubClient).Assembly.GetName().Version!.ToString(3)));
        // Sizes and offsets count the file's own bytes.
        _http.DefaultRequestHeaders.AcceptEncoding.Add(new StringWithQualityHeaderValue("identity"));
    }

    /// <summary>Asks for a file or a listing from byte <paramref name="from"/> on.</summary>
    /// <param name="what">What is asked for, for messages.</param>
    /// <param name="path">Its address below the endpoint.</param>
    /// <param name="from">The first byte wanted; 0: all of it.</param>
    /// <param name="tag">The ETag of the bytes before <paramref name="from"/>, if known: other content is then sent from its beginning.</param>
    /// <param name="cancel">Stops it.</param>
    /// <returns>200 with all, 206 with the rest, or 416 where there is no such rest. The body is not read yet.</returns>
    /// <exception cref="TransientHubException">Another attempt may do.</exception>
    /// <exception cref="KoalaException">The hub refuses, or there is no such thing.</exception>
    public async Task<HttpResponseMessage> GetAsync(HubName what, string path, long from, EntityTagHeaderValue? tag, CancellationToken cancel)
    {
        var url = new Uri($"{_settings.Endpoint}/{path}");
        for (var redirects = 0; ; redirects++)
        {
            var response = await SendAsync(url, from, tag, cancel);
            if (response.StatusCode is HttpStatusCode.OK or HttpStatusCode.PartialContent or HttpStatusCode.RequestedRangeNotSatisfiable) return response;
            using (response)
            {
                if ((int)response.StatusCode is not (301 or 302 or 303 or 307 or 308)) throw HubErrors.Fault(response, what, _settings, IsHub(url));
                if (redirects == MostRedirects) throw new KoalaException(what.ToString(), $"is redirected more than {MostRedirects} times", "try again later, or check HF_ENDPOINT");
                url = Target(response, url, what);
            }
        }
    }

    /// <summary>Reads an answer's body piece by piece.</summary>
    /// <exception cref="TransientHubException">It was cut off, or nothing more came.</exception>
    public async Task ReadAsync(HttpResponseMessage response, Action<ReadOnlyMemory<byte>> take, CancellationToken cancel)
    {
        using var idle = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var buffer = new byte[1 << 17];
        using var body = await Watch(() => response.Content.ReadAsStreamAsync(idle.Token), idle, cancel);
        while (await Watch(() => body.ReadAsync(buffer, idle.Token).AsTask(), idle, cancel) is > 0 and var count) take(buffer.AsMemory(0, count));
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
            throw new TransientHubException("the connection stood still", inner: e);
        }
        catch (HttpRequestException e) when (e.HttpRequestError == HttpRequestError.SecureConnectionError)
        {
            throw new KoalaException(_settings.Endpoint, $"no secure connection can be made ({(e.InnerException ?? e).Message.TrimEnd('.')})", "check the machine's clock and certificates, or HF_ENDPOINT", e);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or SocketException)
        {
            throw new TransientHubException($"the connection failed ({Reason(e)})", inner: e);
        }
    }

    // The token is the hub's alone: the same scheme, host and port.
    private bool IsHub(Uri url) => Uri.Compare(url, _endpoint, UriComponents.SchemeAndServer, UriFormat.SafeUnescaped, StringComparison.OrdinalIgnoreCase) == 0;

    private static Uri Target(HttpResponseMessage response, Uri url, HubName what)
    {
        if (response.Headers.Location is not { } location || !Uri.TryCreate(url, location, out var target) || target.Scheme is not ("http" or "https"))
            throw new KoalaException(what.ToString(), $"is redirected by {url.Host} to no address", "try again later, or check HF_ENDPOINT");
        return url.Scheme == "https" && target.Scheme == "http"
            ? throw new KoalaException(what.ToString(), $"is redirected from https to http ({target.Host})", "check HF_ENDPOINT: what comes unencrypted is not trusted")
            : target;
    }

    private static string Reason(Exception e) => MessageText.Text((e is HttpRequestException { InnerException: { } inner } ? inner : e).Message.TrimEnd('.'));
}
