using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Koala.Lab.Tests.Checkpoints.Hub;

/// <summary>A local hub with one repository. It behaves correctly unless a test sets another behaviour.</summary>
internal sealed class FakeHub : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _end = new();
    private readonly TaskCompletionSource _release = new();

    public FakeHub()
    {
        _listener.Start();
        _ = AcceptAsync();
    }

    public string Repo { get; init; } = "koala/nano";

    public string Revision { get; init; } = "main";

    public string Commit { get; set; } = new('a', 40);

    public string Endpoint => $"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}";

    /// <summary>The files by name. Files of at least 1000 bytes are kept in LFS.</summary>
    public Dictionary<string, byte[]> Files { get; } = [];

    /// <summary>Gives another answer than the correct one, or null for the correct one.</summary>
    public Func<Request, Reply?> Misbehave { get; set; } = _ => null;

    public ConcurrentQueue<Request> Requests { get; } = [];

    public Request[] FileRequests =>
        [.. Requests.Where(request => request.Path.Contains("/resolve/", StringComparison.Ordinal))];

    public static bool IsLarge(byte[] content) => content.Length >= 1000;

    public static string HashOf(byte[] content) => Convert.ToHexStringLower(IsLarge(content)
        ? SHA256.HashData(content)
#pragma warning disable CA5350 // git's own hash.
        : SHA1.HashData([.. Encoding.ASCII.GetBytes($"blob {content.Length}\0"), .. content]));
#pragma warning restore CA5350

    /// <summary>The listing as the hub writes it.</summary>
    public byte[] Listing(string? extraName = null) => JsonSerializer.SerializeToUtf8Bytes(new
    {
        id = Repo,
        sha = Commit,
        siblings = Files.Select(file => (object)(IsLarge(file.Value)
                ? new
                {
                    rfilename = file.Key, size = file.Value.Length, blobId = new string('0', 40),
                    lfs = new { sha256 = HashOf(file.Value), size = file.Value.Length, pointerSize = 130 },
                }
                : new { rfilename = file.Key, size = file.Value.Length, blobId = HashOf(file.Value) }))
            .Concat(extraName is null ? [] : [new { rfilename = extraName, size = 1, blobId = new string('1', 40) }]),
    });

    /// <summary>Releases answers that hang.</summary>
    public void Release() => _release.TrySetResult();

    public Reply Behave(Request request)
    {
        var path = request.Path.Split('?')[0];
        if (path == $"/api/models/{Repo}/revision/{Uri.EscapeDataString(Revision)}") return new Reply(200, Listing());
        if (path.StartsWith("/api/models/", StringComparison.Ordinal))
            return new Reply(404)
            {
                Headers = { ["X-Error-Code"] = path.StartsWith($"/api/models/{Repo}/", StringComparison.Ordinal)
                    ? "RevisionNotFound"
                    : "RepoNotFound" },
            };
        var prefix = $"/{Repo}/resolve/{Commit}/";
        if (!path.StartsWith(prefix, StringComparison.Ordinal)
            || !Files.TryGetValue(Uri.UnescapeDataString(path[prefix.Length..]), out var content))
            return new Reply(404) { Headers = { ["X-Error-Code"] = "EntryNotFound" } };
        return Part(content, request, $"\"{HashOf(content)}\"");
    }

    /// <summary>The content, or the part of it from the byte that the request asks for.</summary>
    public static Reply Part(byte[] content, Request request, string tag)
    {
        if (request.From is not { } from) return new Reply(200, content) { Headers = { ["ETag"] = tag } };
        return new Reply(206, content[from..])
        {
            Headers = { ["ETag"] = tag, ["Content-Range"] = $"bytes {from}-{content.Length - 1}/{content.Length}" },
        };
    }

    public void Dispose()
    {
        Release();
        _end.Cancel();
        _listener.Dispose();
        _end.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true) _ = AnswerAsync(await _listener.AcceptSocketAsync(_end.Token));
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private async Task AnswerAsync(Socket socket)
    {
        using var stream = new NetworkStream(socket, ownsSocket: true);
        try
        {
            var request = await ReadAsync(stream);
            Requests.Enqueue(request);
            var reply = Misbehave(request) ?? Behave(request);
            var head = new StringBuilder($"HTTP/1.1 {reply.Status} {(HttpStatusCode)reply.Status}\r\nConnection: close\r\n");
            if (reply.Announced is >= 0 or null) head.Append($"Content-Length: {reply.Announced ?? reply.Body.Length}\r\n");
            foreach (var (name, value) in reply.Headers) head.Append($"{name}: {value}\r\n");
            await stream.WriteAsync(Encoding.ASCII.GetBytes(head.Append("\r\n").ToString()));
            await stream.WriteAsync(reply.Body.AsMemory(0, reply.CutAfter ?? reply.Body.Length));
            await stream.FlushAsync();
            if (!reply.Hangs) return;
            await _release.Task;
            await stream.WriteAsync(reply.Body.AsMemory(reply.CutAfter ?? reply.Body.Length));
        }
        catch (IOException)
        {
            // The client has gone.
        }
    }

    private static async Task<Request> ReadAsync(NetworkStream stream)
    {
        var head = new List<byte>();
        var next = new byte[1];
        while (!Encoding.ASCII.GetString([.. head.TakeLast(4)]).Equals("\r\n\r\n", StringComparison.Ordinal)
            && await stream.ReadAsync(next) == 1) head.Add(next[0]);
        var lines = Encoding.ASCII.GetString([.. head]).Split("\r\n", StringSplitOptions.RemoveEmptyEntries);
        var headers = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        foreach (var line in lines.Skip(1))
            headers[line[..line.IndexOf(':', StringComparison.Ordinal)]] = line[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim();
        var body = new byte[int.Parse(headers.GetValueOrDefault("Content-Length", "0"), CultureInfo.InvariantCulture)];
        await stream.ReadExactlyAsync(body);
        var words = lines[0].Split(' ');
        return new Request(words[0], words[1], headers, body);
    }
}

internal sealed record Request(string Method, string Path, Dictionary<string, string> Headers, byte[] Body)
{
    public string? this[string header] => Headers.GetValueOrDefault(header);

    /// <summary>The first byte that the request asks for.</summary>
    public int? From => this["Range"] is { } range ? int.Parse(range["bytes=".Length..].TrimEnd('-')) : null;

    public bool IsFor(string file) => Path.EndsWith($"/{file}", StringComparison.Ordinal);
}

internal sealed record Reply(int Status, byte[] Body)
{
    public Reply(int status) : this(status, []) { }

    public Dictionary<string, string> Headers { get; init; } = [];

    /// <summary>The Content-Length; null sends the correct one, and a negative value sends none.</summary>
    public int? Announced { get; init; }

    /// <summary>The number of bytes after which the connection ends.</summary>
    public int? CutAfter { get; init; }

    /// <summary>The connection does not end there, but stalls until it is released.</summary>
    public bool Hangs { get; init; }
}
