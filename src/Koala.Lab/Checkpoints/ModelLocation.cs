using Koala.Lab.Checkpoints.Hub;

namespace Koala.Lab.Checkpoints;

/// <summary>
/// The location of a model that the user names by its path, or as <c>org/name</c>, <c>org/name@revision</c> or
/// <c>org/name/file.gguf</c> in the hub's cache.
/// </summary>
/// <param name="Path">The path of its folder or file.</param>
/// <param name="Name">
/// The model's name in reports: the name of the folder, or the name of the file without .gguf. In the hub's cache, where folders are
/// named by commits, it is <c>org/name</c>.
/// </param>
public sealed record ModelLocation(string Path, string Name)
{
    /// <summary>Finds a model. The network is not used.</summary>
    /// <param name="text">A path, or the name of a model that was pulled. A text that exists as a path counts as a path.</param>
    /// <exception cref="KoalaException">The text is neither.</exception>
    public static ModelLocation Find(string text) => Find(text, HubSettings.Read);

    /// <param name="text">A path or a name.</param>
    /// <param name="settings">Returns the hub's settings; called only if the text is not a path.</param>
    internal static ModelLocation Find(string text, Func<HubSettings> settings)
    {
        if (Directory.Exists(text) || File.Exists(text)) return new ModelLocation(text, NameOf(text));
        if (HubName.TryParse(text) is not { } name) throw new KoalaException(text, "does not exist", "check the path");
        var cache = settings().Cache;
        var path = new HubCache(cache).Find(name)
            ?? throw new KoalaException(text, $"does not exist as a path, and the hub's cache ({cache}) has no such model",
                $"check the path, or get the model: {PullCommand(name)}");
        if (name.File is null) CheckIsComplete(path, name);
        return new ModelLocation(path, NameOf(path));
    }

    // A pull of one file leaves a snapshot without the other files, which is not a target.
    private static void CheckIsComplete(string snapshot, HubName name)
    {
        if (File.Exists(System.IO.Path.Combine(snapshot, "config.json"))) return;
        var paths = Directory.EnumerateFiles(snapshot, "*.gguf");
        string[] files = [.. paths.Select(path => System.IO.Path.GetFileName(path)).Order(StringComparer.Ordinal)];
        if (files.Length > 0)
            throw new KoalaException(name.ToString(), $"is in the hub's cache with single files only: {MessageText.List(files)}",
                $"name one, {name with { File = files[0] }}, or get the complete model: {PullCommand(name)}");
    }

    private static string NameOf(string path)
    {
        if (HubCache.NameOf(path) is { } name) return name;
        return path.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase) && File.Exists(path)
            ? System.IO.Path.GetFileNameWithoutExtension(path)
            : new DirectoryInfo(path).Name;
    }

    private static string PullCommand(HubName name)
    {
        var file = name.File is null ? "" : $" {name.File}";
        var revision = name.Revision == HubName.StandardRevision ? "" : $" --revision {name.Revision}";
        return $"koala pull {name.Repo}{file}{revision}";
    }
}
