using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Checkpoints.Hub;

/// <summary>
/// Uploads files to a repository of the hub as one commit. The protocol is that of huggingface_hub: the hub says which files go into git
/// LFS; these are sent first; the commit holds the small files and names the large ones.
/// </summary>
public sealed class HubUpload
{
    private readonly HubName _name;
    private readonly HubSettings _settings;
    private readonly HubPushOptions _options;
    private readonly HubClient _client;
    private readonly LfsUpload _lfs;
    private readonly HubRetry _retry;
    private readonly IProgress<HubProgress>? _progress;
    private readonly CancellationToken _cancel;
    private HubProgress _status = new("", 0, 0, 0, 0, 0);

    private HubUpload(HubName name, HubSettings settings, HubPushOptions options, HubClient client, RetryPolicy policy,
        IProgress<HubProgress>? progress, CancellationToken cancel)
    {
        (_name, _settings, _options, _client, _progress, _cancel) = (name, settings, options, client, progress, cancel);
        _retry = new HubRetry(policy, "uploaded", note => progress?.Report(_status with { Note = note }));
        _lfs = new LfsUpload(name, settings, client, _retry, Sent, cancel);
    }

    /// <summary>
    /// Makes a branch of a repository hold these files, beside those that it holds already. The repository and the branch are made if
    /// they do not exist. Files that the branch has already are not sent, so the same call again continues an interrupted push.
    /// </summary>
    /// <param name="files">The files.</param>
    /// <param name="repo">The repository, org/name.</param>
    /// <param name="options">The branch and the message; null uses the defaults.</param>
    /// <param name="settings">The hub and the token; null uses the settings of the environment.</param>
    /// <param name="progress">Often receives the progress.</param>
    /// <param name="cancel">Cancels the push; without the commit, which comes last, the branch stays as it was.</param>
    /// <exception cref="KoalaException">
    /// A name is wrong, there is no token, the hub refuses, the network fails repeatedly, or a file cannot be read.
    /// </exception>
    public static Task<HubPush> PushAsync(IReadOnlyList<HubContent> files, string repo, HubPushOptions? options = null,
        HubSettings? settings = null, IProgress<HubProgress>? progress = null, CancellationToken cancel = default) =>
        PushAsync(files, repo, options ?? new HubPushOptions(), settings ?? HubSettings.Read(), new RetryPolicy(), progress, cancel);

    internal static async Task<HubPush> PushAsync(IReadOnlyList<HubContent> files, string repo, HubPushOptions options,
        HubSettings settings, RetryPolicy policy, IProgress<HubProgress>? progress, CancellationToken cancel)
    {
        KoalaException.ThrowIfNull(files);
        if (!HubName.IsRepo(repo))
            throw new KoalaException(MessageText.Text(repo), "is not the name of a repository", "write it as org/name");
        if (!HubName.IsRevision(options.Revision))
            throw KoalaException.ForOption(nameof(options.Revision),
                $"is '{MessageText.Text(options.Revision)}', which names no branch", "correct it, or leave it out");
        if (files.GroupBy(file => file.Name).FirstOrDefault(group => group.Count() > 1) is { } twice)
            throw new KoalaException(MessageText.Text(twice.Key), "is given twice", "give each file once");
        if (settings.Offline)
            throw new KoalaException("HF_HUB_OFFLINE", "is set, so nothing is uploaded", "unset it to push");
        if (settings.Token is null)
            throw new KoalaException("HF_TOKEN", "is not set, and the hub takes files only from those whom it knows",
                "set it to a token that may write to this repository");
        using var client = new HubClient(settings, policy);
        var name = new HubName(repo, options.Revision, null);
        return await new HubUpload(name, settings, options, client, policy, progress, cancel).RunAsync(files);
    }

    private async Task<HubPush> RunAsync(IReadOnlyList<HubContent> contents)
    {
        HashedContent[] files = [.. contents.Select(file => file.Hash(_cancel))];
        var listing = await FindAsync();
        HashedContent[] changed = [.. files.Where(file => listing is null || !listing.Files.Any(file.Is))];
        _status = _status with { Files = changed.Length, Total = changed.Sum(file => file.Size) };
        var commit = changed.Length == 0 ? listing!.Commit : await UploadAsync(changed);
        var url = $"{_settings.Endpoint}/{_name.Repo}/tree/{_name.Revision}";
        return new HubPush(_name.Repo, _name.Revision, commit, url,
            [.. files.Select(file => new PushedFile(file.Name, file.Size, file.Sha256, changed.Contains(file)))]);
    }

    private async Task<string> UploadAsync(HashedContent[] changed)
    {
        var large = await ChooseLargeAsync(changed);
        foreach (var file in changed.Where(file => large.Contains(file.Name)))
        {
            _status = _status with { File = file.Name, Index = _status.Index + 1 };
            var doneBefore = _status.Done;
            await _lfs.RunAsync(file);
            Report(doneBefore + file.Size);
        }
        var commit = await CommitAsync(changed, large);
        Report(_status.Total);
        return commit;
    }

    /// <summary>The files of the branch; null if the repository or the branch had to be made.</summary>
    private async Task<HubListing?> FindAsync()
    {
        if (await _retry.RunAsync(_name.Repo, ListAsync, () => 0, _cancel) is { } listing) return listing;
        var parts = _name.Repo.Split('/');
        await PostAsync("api/repos/create", new { organization = parts[0], name = parts[1], type = "model", @private = _options.Private },
            HttpStatusCode.Conflict);
        if (_name.Revision == HubName.StandardRevision) return null;
        await PostAsync($"api/models/{_name.Repo}/branch/{Uri.EscapeDataString(_name.Revision)}", new { }, HttpStatusCode.Conflict);
        // A new branch begins with the files of main.
        return await _retry.RunAsync(_name.Repo, ListAsync, () => 0, _cancel);
    }

    private async Task<HubListing?> ListAsync()
    {
        using var response = await _client.TryGetAsync(_name, HubListing.Path(_name), _cancel);
        if (response is null) return null;
        var where = $"{_name.Repo}: the hub's listing";
        return HubListing.Parse(await _client.ReadAllAsync(response, where, _cancel), where);
    }

    /// <summary>The names of the files that the hub wants in git LFS.</summary>
    private async Task<HashSet<string>> ChooseLargeAsync(HashedContent[] files)
    {
        var where = $"{_name.Repo}: the hub's answer about the files";
        var answer = await PostAsync($"api/models/{_name.Repo}/preupload/{Uri.EscapeDataString(_name.Revision)}", new
        {
            files = files.Select(file => new { path = file.Name, size = file.Size, sample = Convert.ToBase64String(file.Sample) }),
        });
        var large = new HashSet<string>();
        var entries = new JsonSection(answer.Parse(where), where).Items("files");
        foreach (var file in files)
        {
            var entry = entries.FirstOrDefault(entry => entry.Text("path") == file.Name)
                ?? throw new KoalaException(where, $"says nothing about {file.Name}", "try again, or check HF_ENDPOINT");
            if (entry.Boolean("shouldIgnore", defaultValue: false))
                throw new KoalaException($"{_name.Repo}: {file.Name}", "is left out by the repository's .gitignore",
                    "change that file on the hub, then push again");
            if (entry.Text("uploadMode") == "lfs") large.Add(file.Name);
        }
        return large;
    }

    private async Task<string> CommitAsync(HashedContent[] files, HashSet<string> large)
    {
        var lines = new StringBuilder(Line("header", new { summary = _options.Message, description = "" }));
        foreach (var file in files)
        {
            lines.Append(large.Contains(file.Name)
                ? Line("lfsFile", new { path = file.Name, algo = "sha256", oid = file.Sha256, size = file.Size })
                : Line("file", new { path = file.Name, encoding = "base64", content = Base64(file) }));
        }
        var body = Encoding.UTF8.GetBytes(lines.ToString());
        var where = $"{_name.Repo}: the hub's answer to the commit";
        var answer = await _retry.RunAsync(_name.Repo, () => _client.PostAsync(_name,
            Url($"api/models/{_name.Repo}/commit/{Uri.EscapeDataString(_name.Revision)}"), () => new ByteArrayContent(body)
            {
                Headers = { ContentType = new MediaTypeHeaderValue("application/x-ndjson") },
            }, _cancel), () => 0, _cancel);
        var commit = new JsonSection(answer.Parse(where), where).Text("commitOid");
        return HubName.IsCommit(commit)
            ? commit
            : throw new KoalaException(where, "names no commit (commitOid, 40 hex digits)", "look at the repository, then push again");
    }

    private Task<HubAnswer> PostAsync(string path, object body, HttpStatusCode? accepted = null) =>
        _retry.RunAsync(
            _name.Repo, () => _client.PostAsync(_name, Url(path), () => HubJson.Body(body), _cancel, accepted), () => 0, _cancel);

    private Uri Url(string path) => new($"{_settings.Endpoint}/{path}");

    private static string Line(string key, object value) => JsonSerializer.Serialize(new { key, value }, JsonFormat.Line) + "\n";

    private static string Base64(HashedContent file)
    {
        using var stream = file.Content.Open();
        var bytes = new byte[file.Size];
        stream.ReadExactly(bytes);
        return Convert.ToBase64String(bytes);
    }

    private void Sent(int bytes)
    {
        _status = _status with { Done = Math.Min(_status.Done + bytes, _status.Total), Transferred = _status.Transferred + bytes };
        _progress?.Report(_status);
    }

    private void Report(long done)
    {
        _status = _status with { Done = done };
        _progress?.Report(_status);
    }
}
