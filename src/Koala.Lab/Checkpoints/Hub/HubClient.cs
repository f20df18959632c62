using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;

namespace Koala.Lab.Checkpoints.Hub;

/// <summary>
/// Sends requests to the hub, and files to where the hub wants them. It handles redirects, the token, timeouts and errors.
/// </summary>
internal sealed class HubClient : IDisposable
{
    private const int MostRedirects = 10;
    private const long LongestAnswer = 64L << 20;

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
            using var request = new HttpRequestMessage(HttpMethod.Get, url);
            if (from > 0)
            {
                request.Headers.Range = new RangeHeaderValue(from, null);
                if (tag is { IsWeak: false }) request.Headers.IfRange = new RangeConditionHeaderValue(tag);
            }
            using var idle = CancellationTokenSource.CreateLinkedTokenSource(cancel);
            var response = await SendAsync(request, idle, cancel);
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

    /// <summary>Requests a listing; null if there is no such repository or revision.</summary>
    /// <param name="what">What is requested, for messages.</param>
    /// <param name="path">Its address relative to the endpoint.</param>
    /// <param name="cancel">Cancels the request.</param>
    /// <exception cref="TransientHubException">Another attempt may succeed.</exception>
    /// <exception cref="KoalaException">The hub refuses.</exception>
    public async Task<HttpResponseMessage?> TryGetAsync(HubName what, string path, CancellationToken cancel)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri($"{_settings.Endpoint}/{path}"));
        using var idle = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var response = await SendAsync(request, idle, cancel);
        if (response.StatusCode == HttpStatusCode.OK) return response;
        using (response)
        {
            return HubErrors.IsMissing(response) ? null : throw HubErrors.Fault(response, what, _settings, isFromHub: true);
        }
    }

    /// <summary>Sends data to the hub and returns its answer.</summary>
    /// <param name="what">What the data are about, for messages.</param>
    /// <param name="url">The address.</param>
    /// <param name="body">Creates the body of the request.</param>
    /// <param name="accepted">A status other than 2xx that is an answer as well.</param>
    /// <param name="cancel">Cancels the request.</param>
    /// <exception cref="TransientHubException">Another attempt may succeed.</exception>
    /// <exception cref="KoalaException">The hub refuses.</exception>
    public async Task<HubAnswer> PostAsync(
        HubName what, Uri url, Func<HttpContent> body, CancellationToken cancel, HttpStatusCode? accepted = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, url) { Content = body() };
        using var idle = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        using var response = await SendAsync(request, idle, cancel);
        var answer = new HubAnswer(response.StatusCode, await ReadAllAsync(response, $"{what.Repo}: the hub's answer", cancel));
        return response.IsSuccessStatusCode || response.StatusCode == accepted
            ? answer
            : throw HubErrors.WriteFault(response, what, answer.Error, IsHub(url));
    }

    /// <summary>Sends a part of a file to an address that the hub has given. Returns the ETag of the answer; null if it has none.</summary>
    /// <param name="what">The file, for messages.</param>
    /// <param name="url">The address.</param>
    /// <param name="headers">Headers that the hub wants with it.</param>
    /// <param name="part">The part.</param>
    /// <param name="sent">Called with the number of bytes of each chunk that was sent.</param>
    /// <param name="cancel">Cancels the request.</param>
    /// <exception cref="TransientHubException">Another attempt may succeed.</exception>
    /// <exception cref="KoalaException">The hub refuses, or the file has changed.</exception>
    public async Task<string?> PutAsync(HubName what, Uri url, IEnumerable<KeyValuePair<string, string>> headers, FilePart part,
        Action<int> sent, CancellationToken cancel)
    {
        using var idle = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        using var request = new HttpRequestMessage(HttpMethod.Put, url);
        // A large part takes longer than an answer may: each chunk that is sent counts as life.
        request.Content = new FilePartContent(part, count =>
        {
            idle.CancelAfter(_policy.Idle);
            sent(count);
        });
        foreach (var (name, value) in headers)
            if (!request.Headers.TryAddWithoutValidation(name, value)) request.Content.Headers.TryAddWithoutValidation(name, value);
        using var response = await SendAsync(request, idle, cancel);
        if (!response.IsSuccessStatusCode)
        {
            var answer = new HubAnswer(response.StatusCode, await ReadAllAsync(response, $"{what}: the answer", cancel));
            throw HubErrors.WriteFault(response, what, answer.Error, isFromHub: false);
        }
        return response.Headers.TryGetValues("ETag", out var tags) ? tags.First() : null;
    }

    /// <summary>Reads the whole body of a short response.</summary>
    /// <param name="response">The response.</param>
    /// <param name="where">The name of the response, for messages.</param>
    /// <param name="cancel">Cancels reading.</param>
    /// <exception cref="TransientHubException">The connection ended early, or no more bytes arrived in time.</exception>
    /// <exception cref="KoalaException">The body is too long.</exception>
    public async Task<ReadOnlyMemory<byte>> ReadAllAsync(HttpResponseMessage response, string where, CancellationToken cancel)
    {
        using var bytes = new MemoryStream();
        await ReadAsync(response, chunk =>
        {
            if (bytes.Length + chunk.Length > LongestAnswer)
                throw new KoalaException(where, $"has more than {LongestAnswer} bytes", "check the address in HF_ENDPOINT");
            bytes.Write(chunk.Span);
        }, cancel);
        return bytes.ToArray();
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

    private Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationTokenSource idle, CancellationToken cancel)
    {
        if (IsHub(request.RequestUri!) && _settings.Token is { } token)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return Watch(() => _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, idle.Token), idle, cancel);
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
        catch (HttpRequestException e) when (e.InnerException is KoalaException fault)
        {
            // The body that was to be sent is at fault.
            throw fault;
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
