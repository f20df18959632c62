using System.Text.Json;

namespace Koala.Lab.Checkpoints.Hub;

/// <summary>What a repository holds at a revision: the hub's answer to <c>/api/models/{repo}/revision/{revision}?blobs=true</c>.</summary>
/// <param name="Commit">The commit that the revision names, 40 hex digits.</param>
/// <param name="Files">Its files in the hub's order.</param>
internal sealed record HubListing(string Commit, IReadOnlyList<HubFile> Files)
{
    private const string Fix = "try again; if it stays so, check what HF_ENDPOINT names";

    /// <param name="utf8">The answer.</param>
    /// <param name="where">Whose it is, for messages.</param>
    /// <exception cref="KoalaException">The answer is cut off or not as expected, or names a file that would lie outside its folder.</exception>
    public static HubListing Parse(ReadOnlyMemory<byte> utf8, string where)
    {
        var root = JsonFile.Parse(utf8, where);
        if (Text(root, "sha") is not { } commit || !HubName.IsCommit(commit)) throw new KoalaException(where, "names no commit (sha, 40 hex digits)", Fix);
        if (!root.TryGetProperty("siblings", out var siblings) || siblings.ValueKind != JsonValueKind.Array) throw new KoalaException(where, "lists no files (siblings)", Fix);
        var files = siblings.EnumerateArray().Select(item => File(item, where)).ToArray();
        return files.GroupBy(file => file.Name).FirstOrDefault(group => group.Count() > 1) is { } twice
            ? throw new KoalaException(where, $"lists {MessageText.Text(twice.Key)} twice", Fix)
            : new HubListing(commit, files);
    }

    private static HubFile File(JsonElement item, string where)
    {
        if (item.ValueKind != JsonValueKind.Object || Text(item, "rfilename") is not { } name) throw new KoalaException(where, "lists a file without a name (rfilename)", Fix);
        if (!HubName.IsFile(name))
            throw new KoalaException(where, $"lists a file '{MessageText.Text(name)}', which would lie outside its folder", "do not use this repository; nothing of it was downloaded");
        var isLarge = item.TryGetProperty("lfs", out var large) && large.ValueKind == JsonValueKind.Object;
        var hash = isLarge ? Text(large, "sha256") ?? Text(large, "oid") : Text(item, "blobId");
        if (hash is null || hash.Length != (isLarge ? 64 : 40) || !hash.All(char.IsAsciiHexDigitLower))
            throw new KoalaException(where, $"lists {MessageText.Text(name)} without {(isLarge ? "its SHA-256 (lfs.sha256)" : "its hash (blobId)")}", Fix);
        var size = isLarge && large.TryGetProperty("size", out var ofLarge) ? ofLarge : item.TryGetProperty("size", out var plain) ? plain : default;
        return size.ValueKind == JsonValueKind.Number && size.TryGetInt64(out var bytes) && bytes >= 0 ? new HubFile(name, bytes, hash)
            : throw new KoalaException(where, $"lists {MessageText.Text(name)} without its size", Fix);
    }

    private static string? Text(JsonElement json, string key) => json.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
