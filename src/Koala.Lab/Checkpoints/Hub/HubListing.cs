using System.Text.Json;

namespace Koala.Lab.Checkpoints.Hub;

/// <summary>
/// The files of a repository at a revision: the hub's response to <c>/api/models/{repo}/revision/{revision}?blobs=true</c>.
/// </summary>
/// <param name="Commit">The commit that the revision names, 40 hex digits.</param>
/// <param name="Files">The files, in the hub's order.</param>
internal sealed record HubListing(string Commit, IReadOnlyList<HubFile> Files)
{
    private const string Fix = "try again; if the error persists, check the address in HF_ENDPOINT";

    /// <summary>The address of the listing, relative to the endpoint.</summary>
    public static string Path(HubName name) => $"api/models/{name.Repo}/revision/{Uri.EscapeDataString(name.Revision)}?blobs=true";

    /// <param name="utf8">The response.</param>
    /// <param name="where">The name of the response, for messages.</param>
    /// <exception cref="KoalaException">
    /// The response is cut off or malformed, or it names a file that would lie outside its folder.
    /// </exception>
    public static HubListing Parse(ReadOnlyMemory<byte> utf8, string where)
    {
        var root = JsonFile.Parse(utf8, where);
        if (Text(root, "sha") is not { } commit || !HubName.IsCommit(commit))
            throw new KoalaException(where, "has no commit (sha, 40 hex digits)", Fix);
        if (!root.TryGetProperty("siblings", out var siblings) || siblings.ValueKind != JsonValueKind.Array)
            throw new KoalaException(where, "lists no files (siblings)", Fix);
        var files = siblings.EnumerateArray().Select(item => File(item, where)).ToArray();
        return files.GroupBy(file => file.Name).FirstOrDefault(group => group.Count() > 1) is { } twice
            ? throw new KoalaException(where, $"lists {MessageText.Text(twice.Key)} twice", Fix)
            : new HubListing(commit, files);
    }

    private static HubFile File(JsonElement item, string where)
    {
        if (item.ValueKind != JsonValueKind.Object || Text(item, "rfilename") is not { } name)
            throw new KoalaException(where, "lists a file without a name (rfilename)", Fix);
        if (!HubName.IsFile(name))
            throw new KoalaException(where, $"lists a file '{MessageText.Text(name)}', which would lie outside its folder",
                "do not use this repository; nothing of it was downloaded");
        var isLarge = item.TryGetProperty("lfs", out var lfs) && lfs.ValueKind == JsonValueKind.Object;
        var hash = isLarge ? Text(lfs, "sha256") ?? Text(lfs, "oid") : Text(item, "blobId");
        if (hash is null || hash.Length != (isLarge ? 64 : 40) || !hash.All(char.IsAsciiHexDigitLower))
        {
            var missing = isLarge ? "its SHA-256 (lfs.sha256)" : "its hash (blobId)";
            throw new KoalaException(where, $"lists {MessageText.Text(name)} without {missing}", Fix);
        }
        if (!(isLarge && lfs.TryGetProperty("size", out var size)) && !item.TryGetProperty("size", out size)) size = default;
        return size.ValueKind == JsonValueKind.Number && size.TryGetInt64(out var bytes) && bytes >= 0
            ? new HubFile(name, bytes, hash)
            : throw new KoalaException(where, $"lists {MessageText.Text(name)} without its size", Fix);
    }

    private static string? Text(JsonElement json, string key) =>
        json.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
