using System.Text.Json;
using Koala.Lab.Runtime;

namespace Koala.Lab.Heads.Trees;

/// <summary>Trees as files: a JSON list of paths, each a list of child ranks, as Medusa's choices are.</summary>
public static class TreeFile
{
    /// <summary>The most candidates of a tree.</summary>
    public const int MostNodes = 256;

    /// <summary>Reads a tree; its name is the file's.</summary>
    /// <exception cref="KoalaException">The file cannot be read, is no list of paths, or the paths are no tree.</exception>
    public static StaticShape Read(string path)
    {
        try
        {
            var paths = JsonSerializer.Deserialize<int[][]>(File.ReadAllText(path)) ?? throw new JsonException("it is null");
            if (paths.Any(p => p is null)) throw new JsonException("a path is null");
            return new StaticShape(Path.GetFileNameWithoutExtension(path), paths);
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new KoalaException(path, $"cannot be read as a tree ({e.Message.ReplaceLineEndings(" ").TrimEnd('.')})", "give a JSON list of paths, as [[0],[1],[0,0]]", e);
        }
        catch (KoalaException e)
        {
            throw new KoalaException(path, e.Fault, e.Mend, e);
        }
    }

    /// <summary>Writes a tree.</summary>
    public static void Write(string path, StaticShape tree) => AtomicFile.WriteText(path, JsonSerializer.Serialize(tree.Paths) + "\n");

    internal static void Check(string name, IReadOnlyList<IReadOnlyList<int>> paths)
    {
        const string Mend = "mend the list of paths";
        if (paths.Count > MostNodes) throw new KoalaException(name, $"has {paths.Count} nodes, but a tree has at most {MostNodes}", "take fewer");
        var seen = new HashSet<string>();
        foreach (var path in paths)
        {
            if (path.Count == 0) throw new KoalaException(name, "has an empty path, but the root is no candidate", Mend);
            if (path.Any(rank => rank < 0)) throw new KoalaException(name, $"path {Text(path)} has a negative rank", Mend);
            if (path.Any(rank => rank >= MostNodes)) throw new KoalaException(name, $"path {Text(path)} has a rank of {path.Max()}, but a node has at most {MostNodes} children", Mend);
            if (!seen.Add(Text(path))) throw new KoalaException(name, $"path {Text(path)} comes twice", Mend);
        }
        if (paths.FirstOrDefault(path => path.Count > 1 && !seen.Contains(Text([.. path.SkipLast(1)]))) is { } orphan)
            throw new KoalaException(name, $"path {Text(orphan)} has no parent {Text([.. orphan.SkipLast(1)])}", Mend);
    }

    private static string Text(IReadOnlyList<int> path) => $"[{string.Join(',', path)}]";
}
