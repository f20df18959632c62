using System.Net;

namespace Koala.Lab.Checkpoints.Hub;

/// <summary>Downloads a model, or one file of it, into the hub's cache.</summary>
public sealed class HubDownload
{
    private readonly HubName _name;
    private readonly HubCache _cache;
    private readonly HubClient _client;
    private readonly RetryPolicy _policy;
    private readonly HubRetry _retry;
    private readonly IProgress<HubProgress>? _progress;
    private readonly CancellationToken _cancel;
    private HubProgress _status = new("", 0, 0, 0, 0, 0);

    private HubDownload(
        HubName name, HubCache cache, HubClient client, RetryPolicy policy, IProgress<HubProgress>? progress, CancellationToken cancel)
    {
        _name = name;
        _cache = cache;
        _client = client;
        _policy = policy;
        _progress = progress;
        _cancel = cancel;
        _retry = new HubRetry(policy, "downloaded", note => progress?.Report(_status with { Note = note }));
    }

    /// <summary>
    /// Downloads the files that the cache does not have yet, and continues an interrupted pull. Afterwards each file is complete and
    /// has the listed hash, or it is absent.
    /// </summary>
    /// <param name="repo">The repository, org/name.</param>
    /// <param name="file">
    /// A file of the repository; null downloads what a target needs (configuration, tokenizer, weights in safetensors).
    /// </param>
    /// <param name="revision">A branch, a tag or a commit. Default main.</param>
    /// <param name="settings">The hub and its cache; null uses the settings of the environment.</param>
    /// <param name="progress">Often receives the progress.</param>
    /// <param name="cancel">Cancels the pull; the bytes that have arrived stay for the next pull.</param>
    /// <exception cref="KoalaException">
    /// A name is wrong, the hub refuses, the network fails repeatedly, a hash is wrong, or the cache cannot be written.
    /// </exception>
    public static Task<HubPull> PullAsync(string repo, string? file = null, string revision = HubName.StandardRevision,
        HubSettings? settings = null, IProgress<HubProgress>? progress = null, CancellationToken cancel = default)
    {
        settings ??= HubSettings.Read();
        return PullAsync(repo, file, revision, settings, new HubCache(settings.Cache), new RetryPolicy(), progress, cancel);
    }

    internal static async Task<HubPull> PullAsync(string repo, string? file, string revision, HubSettings settings,
        HubCache cache, RetryPolicy policy, IProgress<HubProgress>? progress, CancellationToken cancel)
    {
        if (!HubName.IsRepo(repo))
            throw new KoalaException(MessageText.Text(repo), "is not the name of a repository",
                $"write it as org/name; give a revision with {new OptionName(nameof(revision))}, and a file after the name");
        if (!HubName.IsRevision(revision))
            throw KoalaException.ForOption(nameof(revision), $"is '{MessageText.Text(revision)}', which names no branch, tag or commit",
                "correct it, or leave it out");
        if (file is not null && !HubName.IsFile(file))
            throw new KoalaException(MessageText.Text(file), "is not the name of a file in a repository", "write it as the hub lists it");
        if (settings.Offline)
            throw new KoalaException("HF_HUB_OFFLINE", "is set, so nothing is downloaded",
                "unset it to pull; a model that the cache already has needs no pull");
        using var client = new HubClient(settings, policy);
        return await new HubDownload(new HubName(repo, revision, file), cache, client, policy, progress, cancel).RunAsync();
    }

    private async Task<HubPull> RunAsync()
    {
        var listing = await _retry.RunAsync(_name.Repo, ListAsync, () => 0, _cancel);
        var files = HubFileSelection.Select(listing, _name);
        _status = _status with { Files = files.Count, Total = files.Sum(file => file.Size) };
        var pulled = new List<PulledFile>();
        foreach (var file in files)
        {
            _status = _status with { File = file.Name, Index = pulled.Count + 1 };
            var doneBefore = _status.Done;
            pulled.Add(new PulledFile(file.Name, file.Size, file.Hash, await EnsureFileAsync(file, listing.Commit)));
            Report(doneBefore + file.Size, 0);
        }
        // This comes last, so that the name finds the previous revision until this one is complete.
        _cache.Remember(_name, listing.Commit);
        var snapshot = _cache.Snapshot(_name.Repo, listing.Commit);
        var path = _name.File is null ? snapshot : Path.Combine(snapshot, _name.File);
        return new HubPull(_name.Repo, _name.Revision, listing.Commit, path, _name.ToString(), pulled);
    }

    private async Task<HubListing> ListAsync()
    {
        using var response = await _client.GetAsync(_name, HubListing.Path(_name), 0, null, _cancel);
        var where = $"{_name.Repo}: the hub's listing";
        return HubListing.Parse(await _client.ReadAllAsync(response, where, _cancel), where);
    }

    /// <summary>Makes sure that the cache has a file at a commit. Returns false if nothing had to be downloaded.</summary>
    private async Task<bool> EnsureFileAsync(HubFile file, string commit)
    {
        if (_cache.Has(_name.Repo, commit, file)) return false;
        using var held = await HubLock.AcquireAsync(_cache.Lock(_name.Repo, file.Hash), _policy,
            () => _progress?.Report(_status with { Note = $"another process is downloading {file.Name}; waiting for it" }), _cancel);
        // Another process may have downloaded it meanwhile.
        if (_cache.Has(_name.Repo, commit, file)) return false;
        var missing = !_cache.HasBlob(_name.Repo, file);
        if (missing) await DownloadAsync(file, commit);
        try
        {
            _cache.LinkSnapshot(_name.Repo, commit, file);
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
        var doneBefore = _status.Done;
        // The bytes that an earlier process has left may be wrong, so they count as part of another response.
        partial.Continue();
        await _retry.RunAsync(what.ToString(), async () =>
        {
            if (partial.Length < file.Size) await FillAsync(partial, file, what, path, doneBefore);
            CheckHash(partial, file, what);
            return true;
        }, () => partial.MaxLength, _cancel);
        partial.Complete();
    }

    private async Task FillAsync(PartialFile partial, HubFile file, HubName what, string path, long doneBefore)
    {
        using var response = await _client.GetAsync(what, path, partial.Length, partial.Tag, _cancel);
        if (response.StatusCode != HttpStatusCode.OK && !Continues(response, partial, file.Size))
        {
            partial.Restart();
            throw new TransientHubException("the hub does not continue at the end of the partial file, so the download starts again",
                TimeSpan.Zero);
        }
        // A server that does not support ranges sends the complete file again.
        var first = response.StatusCode == HttpStatusCode.OK ? 0 : partial.Length;
        // Check this before discarding the bytes that are here: the response may be a different page.
        if (response.Content.Headers.ContentLength is { } length && first + length != file.Size)
            throw new KoalaException(what.ToString(), $"is sent with {first + length} bytes, but the hub lists {file.Size}",
                "try again; if the error persists, check the address in HF_ENDPOINT");
        if (first == 0) partial.Restart();
        else partial.Continue();
        partial.Tag = response.Headers.ETag ?? partial.Tag;
        await _client.ReadAsync(response, chunk =>
        {
            partial.Append(chunk, what);
            Report(doneBefore + partial.Length, chunk.Length);
        }, _cancel);
        if (partial.Length < file.Size)
            throw new TransientHubException($"the connection ended after {partial.Length} of {file.Size} bytes");
    }

    private static void CheckHash(PartialFile partial, HubFile file, HubName what)
    {
        var hash = partial.CurrentHash();
        if (hash == file.Hash) return;
        if (partial.IsPatched)
        {
            partial.Restart();
            throw new TransientHubException("its parts do not make up the listed file, so the download starts again", TimeSpan.Zero);
        }
        partial.Discard();
        throw new KoalaException(what.ToString(), $"has the hash {hash}, but the hub lists {file.Hash}",
            "try again; if the error persists, do not use this repository or this HF_ENDPOINT");
    }

    private static bool Continues(HttpResponseMessage response, PartialFile partial, long size)
    {
        if (response.StatusCode != HttpStatusCode.PartialContent) return false;
        var isRest = response.Content.Headers.ContentRange is { From: { } first } range
            && first == partial.Length && (range.Length ?? size) == size;
        var tag = response.Headers.ETag;
        return isRest && (partial.Tag is null || tag is null || partial.Tag.Equals(tag));
    }

    private void Report(long done, long received)
    {
        _status = _status with { Done = done, Transferred = _status.Transferred + received };
        _progress?.Report(_status);
    }
}
