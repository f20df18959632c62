using Koala.Lab.Checkpoints.Hub;

namespace Koala.Lab.Checkpoints;

/// <summary>Where a model is that the user names: by its path, or as <c>org/name</c>, <c>org/name@revision</c> or <c>org/name/file.gguf</c> in the hub's cache.</summary>
/// <param name="Path">Its folder or file.</param>
/// <param name="Name">What reports call it: the folder's own name, the file's without .gguf; in the hub's cache, where folders are named by commits, <c>org/name</c>.</param>
public sealed record ModelLocation(string Path, string Name)
{
    /// <param name="text">A path, or the name of a model that was pulled. What exists as a path is taken as one. The network is not used.</param>
    /// <exception cref="KoalaException">It is neither.</exception>
    public static ModelLocation Find(string text) => Find(text, HubSettings.Read);

    /// <param name="text">A path or a name.</param>
    /// <param name="settings">Asked for only where the text is no path.</param>
    internal static ModelLocation Find(string text, Func<HubSettings> settings)
    {
        if (Directory.Exists(text) || File.Exists(text)) return new ModelLocation(text, NameOf(text));
        if (HubName.TryParse(text) is not { } name) throw new KoalaException(text, "does not exist", "check the path");
        var cache = settings().Cache;
        var path = new HubCache(cache).Find(name)
            ?? throw new KoalaException(text, $"does not exist as a path, and the hub's cache ({cache}) has no such model", $"check the path, or get the model: {PullOf(name)}");
        if (name.File is null) CheckForOneFile(path, name);
        return new ModelLocation(path, NameOf(path));
    }

    // A pull of one file leaves a snapshot without the rest, which is no target by itself.
    private static void CheckForOneFile(string snapshot, HubName name)
    {
        if (File.Exists(System.IO.Path.Combine(snapshot, "config.json"))) return;
        string[] packed = [.. Directory.EnumerateFiles(snapshot, "*.gguf").Select(file => System.IO.Path.GetFileName(file)).Order(StringComparer.Ordinal)];
        if (packed.Length > 0)
            throw new KoalaException(name.ToString(), $"is in the hub's cache with single files only: {MessageText.List(packed)}", $"name one, {name with { File = packed[0] }}, or get the whole: {PullOf(name)}");
    }

    private static string NameOf(string path) => HubCache.NameOf(path)
        ?? (path.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase) && File.Exists(path) ? System.IO.Path.GetFileNameWithoutExtension(path) : new DirectoryInfo(path).Name);

    private static string PullOf(HubName name) =>
        $"koala pull {name.Repo}{(name.File is null ? "" : $" {name.File}")}{(name.Revision == HubName.StandardRevision ? "" : $" --revision {name.Revision}")}";
}
