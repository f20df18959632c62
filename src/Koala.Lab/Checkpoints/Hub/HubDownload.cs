using System.Net;

namespace Koala.Lab.Checkpoints.Hub;

/// <summary>Downloads a model or a file of it into the hub's cache.</summary>
public sealed class HubDownload
{
    private const long LongestListing = 64L << 20;

    private readonly HubName _name;
    private readonly HubCache _cache;
    private readonly HubClient _client;
    private readonly RetryPolicy _policy;
    private readonly HubRetry _retry;
    private readonly IProgress<PullProgress>? _progress;
    private readonly CancellationToken _cancel;
    private PullProgress _stand = new("", 0, 0, 0, 0, 0);

    private HubDownload(HubName name, HubCache cache, HubClient client, RetryPolicy policy, IProgress<PullProgress>? progress, CancellationToken cancel)
    {
        (_name, _cache, _client, _policy, _progress, _cancel) = (name, cache, client, policy, progress, cancel);
        _retry = new HubRetry(policy, note => progress?.Report(_stand with { Note = note }));
    }

    /// <summary>Downloads what is not here yet; what an interrupted pull has left is used. Each file is complete and of the listed hash, or absent.</summary>
    /// <param name="repo">The repository, org/name.</param>
    /// <param name="file">A file of it; null: what a target needs (configuration, tokenizer, weights in safetensors).</param>
    /// <param name="revision">A branch, a tag or a commit. Default main.</param>
    /// <param name="settings">The hub and its cache; null: those of the environment.</param>
    /// <param name="progress">Hears where it stands, often.</param>
    /// <param name="cancel">Stops it; what has come stays for the next time.</param>
    /// <exception cref="KoalaException">A name is wrong, the hub refuses, the network fails again and again, a hash is wrong, or the cache cannot be written.</exception>
    public static Task<HubPull> PullAsync(string repo, string? file = null, string revision = HubName.StandardRevision, HubSettings? settings = null,
        IProgress<PullProgress>? progress = null, CancellationToken cancel = default)
    {
        settings ??= HubSettings.Read();
        return PullAsync(repo, file, revision, settings, new HubCache(settings.Cache), new RetryPolicy(), progress, cancel);
    }

    internal static async Task<HubPull> PullAsync(string repo, string? file, string revision, HubSettings settings, HubCache cache, RetryPolicy policy,
        IProgress<PullProgress>? progress, CancellationToken cancel)
    {
        if (!HubName.IsRepo(repo))
            throw new KoalaException(MessageText.Text(repo), "is no repository's name",
                $"give it as org/name; a revision goes into {new OptionName(nameof(revision))}, a file behind the name");
        if (!HubName.IsRevision(revision))
            throw KoalaException.ForOption(nameof(revision), $"is '{MessageText.Text(revision)}', which names no branch, tag or commit",
                "correct it, or leave it out");
        if (file is not null && !HubName.IsFile(file)) throw new KoalaException(MessageText.Text(file), "is no file's name in a repository", "give it as the hub lists it");
        if (settings.Offline) throw new KoalaException("HF_HUB_OFFLINE", "is set, so nothing is downloaded", "unset it to pull; what the cache has is found by its name without it");
        using var client = new HubClient(settings, policy);
        return await new HubDownload(new HubName(repo, revision, file), cache, client, policy, progress, cancel).RunAsync();
    }

    private async Task<HubPull> RunAsync()
    {
        var listing = await _retry.RunAsync(_name.Repo, ListAsync, () => 0, _cancel);
        var files = HubFileSelection.Select(listing, _name);
        _stand = _stand with { Files = files.Count, Total = files.Sum(file => file.Size) };
        var pulled = new List<PulledFile>();
        foreach (var file in files)
        {
            _stand = _stand with { File = file.Name, Index = pulled.Count + 1 };
            var before = _stand.Done;
            pulled.Add(new PulledFile(file.Name, file.Size, file.Hash, await BringAsync(file, listing.Commit)));
            Stand(before + file.Size, 0);
        }
        // Last, so that the name finds the revision before until this one is whole.
        _cache.Remember(_name, listing.Commit);
        var snapshot = _cache.Snapshot(_name.Repo, listing.Commit);
        return new HubPull(_name.Repo, _name.Revision, listing.Commit, _name.File is null ? snapshot : Path.Combine(snapshot, _name.File), _name.ToString(), pulled);
    }

    private async Task<HubListing> ListAsync()
    {
        using var response = await _client.GetAsync(_name, $"api/models/{_name.Repo}/revision/{Uri.EscapeDataString(_name.Revision)}?blobs=true", 0, null, _cancel);
        using var bytes = new MemoryStream();
        var where = $"{_name.Repo}: the hub's listing";
        await _client.ReadAsync(response, piece =>
        {
            if (bytes.Length + piece.Length > LongestListing) throw new KoalaException(where, $"has more than {LongestListing} bytes", "check what HF_ENDPOINT names");
            bytes.Write(piece.Span);
        }, _cancel);
        return HubListing.Parse(bytes.GetBuffer().AsMemory(0, (int)bytes.Length), where);
    }

    // False: it was here.
    private async Task<bool> BringAsync(HubFile file, string commit)
    {
        if (_cache.Has(_name.Repo, commit, file)) return false;
        using var held = await HubLock.AcquireAsync(_cache.Lock(_name.Repo, file.Hash), _policy,
            () => _progress?.Report(_stand with { Note = $"another process downloads {file.Name}; waiting for it" }), _cancel);
        // Another process may have brought it meanwhile.
        if (_cache.Has(_name.Repo, commit, file)) return false;
        var missing = !_cache.HasBlob(_name.Repo, file);
        if (missing) await DownloadAsync(file, commit);
        try
        {
            _cache.Show(_name.Repo, commit, file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw HubLock.CacheFault(_cache.Snapshot(_name.Repo, commit), e);
        }
        return missing;
    }

    private async Task DownloadAsync(HubFile file, string commit)
    {
        using var partial = PartialFile.Open(file, _cache.Blob(_name.Repo, file.Hash), _cancel);
        var what = _name with { File = file.Name };
        var path = $"{_name.Repo}/resolve/{commit}/{string.Join('/', file.Name.Split('/').Select(Uri.EscapeDataString))}";
        var before = _stand.Done;
        // What an earlier process has left may be anything; it counts as another answer's bytes.
        partial.Continue();
        await _retry.RunAsync(what.ToString(), async () =>
        {
            if (partial.Length < file.Size) await FillAsync(partial, file, what, path, before);
            Check(partial, file, what);
            return true;
        }, () => partial.Furthest, _cancel);
        partial.Complete();
    }

    private async Task FillAsync(PartialFile partial, HubFile file, HubName what, string path, long before)
    {
        using var response = await _client.GetAsync(what, path, partial.Length, partial.Tag, _cancel);
        if (response.StatusCode != HttpStatusCode.OK && !Continues(response, partial, file.Size))
        {
            partial.Restart();
            throw new TransientHubException("the hub does not go on where the file ends here, so it begins anew", TimeSpan.Zero);
        }
        // A server that does not know ranges sends all of it again.
        var first = response.StatusCode == HttpStatusCode.OK ? 0 : partial.Length;
        // Before what is here is given up for it: it may be another page altogether.
        if (response.Content.Headers.ContentLength is { } length && first + length != file.Size)
            throw new KoalaException(what.ToString(), $"is sent with {first + length} bytes, but the hub lists {file.Size}", "try again; if it stays so, check what HF_ENDPOINT names");
        if (first == 0) partial.Restart();
        else partial.Continue();
        partial.Tag = response.Headers.ETag ?? partial.Tag;
        await _client.ReadAsync(response, piece =>
        {
            partial.Append(piece, what);
            Stand(before + partial.Length, piece.Length);
        }, _cancel);
        if (partial.Length < file.Size) throw new TransientHubException($"the connection ended after {partial.Length} of {file.Size} bytes");
    }

    private static void Check(PartialFile partial, HubFile file, HubName what)
    {
        var hash = partial.CurrentHash();
        if (hash == file.Hash) return;
        if (partial.IsPatched)
        {
            partial.Restart();
            throw new TransientHubException("its parts do not make the listed file, so it begins anew", TimeSpan.Zero);
        }
        partial.Discard();
        throw new KoalaException(what.ToString(), $"has the hash {hash}, but the hub lists {file.Hash}", "try again; if it stays so, do not use this repository or this HF_ENDPOINT");
    }

    private static bool Continues(HttpResponseMessage response, PartialFile partial, long size) =>
        response.StatusCode == HttpStatusCode.PartialContent
        && response.Content.Headers.ContentRange is { From: { } first } range && first == partial.Length && (range.Length ?? size) == size
        && (partial.Tag is null || response.Headers.ETag is null || partial.Tag.Equals(response.Headers.ETag));

    private void Stand(long done, long received)
    {
        _stand = _stand with { Done = done, Received = _stand.Received + received };
        _progress?.Report(_stand);
    }
}
