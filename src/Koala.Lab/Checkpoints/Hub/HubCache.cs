using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Checkpoints.Hub;

/// <summary>
/// The hub's cache in the layout of huggingface_hub: contents are in <c>blobs</c> by hash, links to them in <c>snapshots</c> by
/// commit, and commits in <c>refs</c> by revision.
/// </summary>
/// <remarks>https://huggingface.co/docs/hub/local-cache describes the layout for other programs.</remarks>
/// <param name="folder">The cache's folder.</param>
/// <param name="link">
/// Creates a link from its path and its target. Tests replace it to simulate a file system without links.
/// </param>
internal sealed class HubCache(string folder, Action<string, string>? link = null)
{
    private const string Snapshots = "snapshots";
    private const string Models = "models--";

    private readonly Action<string, string> _link = link ?? ((path, target) => File.CreateSymbolicLink(path, target));

    /// <summary>Returns the folder of all revisions of a repository.</summary>
    public string Repository(string repo) => Path.Combine(folder, FolderName(repo));

    /// <summary>Returns the folder with a repository's files at a commit.</summary>
    public string Snapshot(string repo, string commit) => Path.Combine(Repository(repo), Snapshots, commit);

    /// <summary>Returns the path of the content with a hash.</summary>
    public string Blob(string repo, string hash) => Path.Combine(Repository(repo), "blobs", hash);

    /// <summary>Returns the path of the lock of a content; huggingface_hub uses the same one.</summary>
    public string Lock(string repo, string hash) => Path.Combine(folder, ".locks", FolderName(repo), $"{hash}.lock");

    /// <summary>Returns the path of a named model or file; null if the cache does not have it.</summary>
    public string? Find(HubName name)
    {
        if (CommitOf(name) is not { } commit) return null;
        var snapshot = Snapshot(name.Repo, commit);
        if (name.File is null) return Directory.Exists(snapshot) ? snapshot : null;
        var file = Path.Combine(snapshot, name.File);
        return File.Exists(file) ? file : null;
    }

    /// <summary>
    /// Returns the name of a model or file from its path in a cache, <c>org/name</c> or <c>org/name/file.gguf</c>; null for other paths.
    /// </summary>
    public static string? NameOf(string path)
    {
        var parts = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)).Split(Path.DirectorySeparatorChar);
        var index = Array.LastIndexOf(parts, Snapshots);
        if (index < 1 || index + 1 >= parts.Length || !HubName.IsCommit(parts[index + 1])) return null;
        var repository = parts[index - 1];
        if (!repository.StartsWith(Models, StringComparison.Ordinal)) return null;
        // A name never contains "--", so the first one always represents the slash.
        return string.Join('/', [repository[Models.Length..].Replace("--", "/", StringComparison.Ordinal), .. parts[(index + 2)..]]);
    }

    /// <summary>Whether a listed file is complete at a commit.</summary>
    public bool Has(string repo, string commit, HubFile file) =>
        new FileInfo(Path.Combine(Snapshot(repo, commit), file.Name)) is { Exists: true } found && SizeOf(found) == file.Size;

    /// <summary>Whether the cache has a listed file's content, at any commit.</summary>
    public bool HasBlob(string repo, HubFile file) =>
        new FileInfo(Blob(repo, file.Hash)) is { Exists: true } found && found.Length == file.Size;

    /// <summary>Makes a blob available under its name at a commit. On a file system without links the blob itself is moved there.</summary>
    public void LinkSnapshot(string repo, string commit, HubFile file)
    {
        var blob = Blob(repo, file.Hash);
        var path = Path.Combine(Snapshot(repo, commit), file.Name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.Delete(path);
        try
        {
            _link(path, Path.GetRelativePath(Path.GetDirectoryName(path)!, blob));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or PlatformNotSupportedException)
        {
            File.Move(blob, path);
        }
    }

    /// <summary>Records the commit that a revision names. Nothing is recorded if the revision is the commit itself.</summary>
    public void Remember(HubName name, string commit)
    {
        if (name.Revision != commit) AtomicFile.WriteText(RefFile(name), commit);
    }

    private string? CommitOf(HubName name)
    {
        if (HubName.IsCommit(name.Revision)) return name.Revision;
        var file = RefFile(name);
        if (!File.Exists(file)) return null;
        var commit = System.Text.Encoding.UTF8.GetString(JsonFile.Read(file, 1024)).Trim();
        return HubName.IsCommit(commit)
            ? commit
            : throw new KoalaException(file, $"contains '{MessageText.Text(commit)}', but a commit of 40 hex digits is expected",
                $"get the model again: koala pull {name.Repo}");
    }

    private string RefFile(HubName name) => Path.Combine([Repository(name.Repo), "refs", .. name.Revision.Split('/')]);

    private static long SizeOf(FileInfo file) =>
        file.ResolveLinkTarget(returnFinalTarget: true) is FileInfo blob ? blob.Length : file.Length;

    private static string FolderName(string repo) => Models + repo.Replace("/", "--", StringComparison.Ordinal);
}
