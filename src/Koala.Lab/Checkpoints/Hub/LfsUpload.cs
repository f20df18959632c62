using System.Globalization;

namespace Koala.Lab.Checkpoints.Hub;

/// <summary>
/// Sends large files by git LFS's batch protocol: the hub gives an address for each file, or one for each part of it, and is told when
/// all is there. Facts: git-lfs, docs/api/batch.md; the transfer "multipart" is the hub's own, as huggingface_hub uses it.
/// </summary>
/// <param name="name">The repository and the branch.</param>
/// <param name="settings">The hub.</param>
/// <param name="client">Sends the requests.</param>
/// <param name="retry">Repeats them.</param>
/// <param name="sent">Called with the number of bytes of each chunk that was sent; negative if they have to be sent again.</param>
/// <param name="cancel">Cancels the upload.</param>
internal sealed class LfsUpload(
    HubName name, HubSettings settings, HubClient client, HubRetry retry, Action<int> sent, CancellationToken cancel)
{
    private const string MediaType = "application/vnd.git-lfs+json";
    private const string Fix = "try again; if the error persists, check the address in HF_ENDPOINT";
    private static readonly string[] s_transfers = ["basic", "multipart"];

    /// <summary>Sends a file, unless the hub has its content already.</summary>
    /// <exception cref="KoalaException">The hub refuses, answers with something else, or the network fails repeatedly.</exception>
    public async Task RunAsync(HashedContent file)
    {
        var what = name with { File = file.Name };
        // A new attempt asks for new addresses, because they are valid for a limited time.
        await retry.RunAsync(what.ToString(), async () =>
        {
            if (await AskAsync(file, what) is { } actions) await SendAsync(file, what, actions);
            return true;
        }, () => 0, cancel);
    }

    /// <summary>What the hub wants done with the file; null if it has the content.</summary>
    private async Task<JsonSection?> AskAsync(HashedContent file, HubName what)
    {
        var where = $"{what}: the hub's answer";
        var url = new Uri($"{settings.Endpoint}/{name.Repo}.git/info/lfs/objects/batch");
        var answer = await client.PostAsync(what, url, () => HubJson.Body(new
        {
            operation = "upload",
            transfers = s_transfers,
            objects = new[] { new { oid = file.Sha256, size = file.Size } },
            hash_algo = "sha256",
            @ref = new { name = name.Revision },
        }, MediaType), cancel);
        var item = new JsonSection(answer.Parse(where), where).Items("objects").FirstOrDefault(item => item.Text("oid") == file.Sha256)
            ?? throw new KoalaException(where, "says nothing about the file", Fix);
        if (item.OptionalSection("error") is not { } error) return item.OptionalSection("actions");
        var reason = MessageText.Text(error.OptionalText("message") ?? "no reason given");
        throw new KoalaException(what.ToString(), $"the hub does not take it: {reason}", "correct what it names, then push again");
    }

    private async Task SendAsync(HashedContent file, HubName what, JsonSection actions)
    {
        if (actions.OptionalSection("upload") is { } upload)
        {
            var headers = HeadersOf(upload);
            if (headers.Remove("chunk_size", out var size)) await SendPartsAsync(file, what, upload, headers, size);
            else await PutAsync(what, AddressOf(upload, "href", upload.Text("href")), headers, new FilePart(file.Content, 0, file.Size));
        }
        if (actions.OptionalSection("verify") is { } verify)
        {
            await client.PostAsync(what, AddressOf(verify, "href", verify.Text("href")),
                () => HubJson.Body(new { oid = file.Sha256, size = file.Size }, MediaType), cancel);
        }
    }

    /// <summary>Sends the file in parts. The headers hold the address of each part by its number, from 1.</summary>
    private async Task SendPartsAsync(HashedContent file, HubName what, JsonSection upload, Dictionary<string, string> headers, string size)
    {
        if (!long.TryParse(size, NumberStyles.None, CultureInfo.InvariantCulture, out var partSize) || partSize == 0)
            throw upload.Fault("header.chunk_size", $"is '{MessageText.Text(size)}', but a number of bytes is expected", Fix);
        var addresses = headers.Where(header => int.TryParse(header.Key, NumberStyles.None, CultureInfo.InvariantCulture, out _))
            .ToDictionary(header => int.Parse(header.Key, CultureInfo.InvariantCulture), header => header.Value);
        var parts = new List<object>();
        for (long first = 0; first < file.Size; first += partSize)
        {
            var number = parts.Count + 1;
            if (!addresses.TryGetValue(number, out var address))
                throw upload.Fault("header", $"has no address for part {number} of the file", Fix);
            var part = new FilePart(file.Content, first, Math.Min(partSize, file.Size - first));
            var tag = await PutAsync(what, AddressOf(upload, $"header.{number}", address), [], part);
            if (string.IsNullOrEmpty(tag)) throw new KoalaException(what.ToString(), $"part {number} was taken without an ETag", Fix);
            parts.Add(new { partNumber = number, etag = tag });
        }
        await client.PostAsync(what, AddressOf(upload, "href", upload.Text("href")),
            () => HubJson.Body(new { oid = file.Sha256, parts }, MediaType), cancel);
    }

    private async Task<string?> PutAsync(HubName what, Uri url, Dictionary<string, string> headers, FilePart part)
    {
        var count = 0;
        try
        {
            return await client.PutAsync(what, url, headers, part, bytes =>
            {
                count += bytes;
                sent(bytes);
            }, cancel);
        }
        catch (TransientHubException)
        {
            sent(-count);
            throw;
        }
    }

    private static Dictionary<string, string> HeadersOf(JsonSection action)
    {
        if (action.OptionalSection("header") is not { } header) return [];
        var names = header.Json.EnumerateObject().Select(item => item.Name);
        return names.ToDictionary(name => name, name => header.Text(name), StringComparer.OrdinalIgnoreCase);
    }

    private Uri AddressOf(JsonSection action, string key, string text)
    {
        if (!Uri.TryCreate(text, UriKind.Absolute, out var url) || url.Scheme is not ("http" or "https"))
            throw action.Fault(key, $"is '{MessageText.Text(text)}', but an address is expected", Fix);
        return url.Scheme == "http" && settings.Endpoint.StartsWith("https:", StringComparison.Ordinal)
            ? throw action.Fault(key, $"leads from https to http ({url.Host})", "check HF_ENDPOINT: Koala does not send files unencrypted")
            : url;
    }
}
