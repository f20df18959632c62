using System.Globalization;
using System.Text.RegularExpressions;

namespace Koala.Lab.Checkpoints.Gguf;

/// <summary>Finds the files of a model that is split into several, from the metadata of the first one.</summary>
/// <param name="values">The metadata.</param>
internal sealed partial class GgufSplit(GgufMetadata values)
{
    private const int MostFiles = 99_999;

    // NAME-00001-of-00003.gguf
    [GeneratedRegex(@"-(\d{5})-of-(\d{5})(\.gguf)?$", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex NamePattern { get; }

    /// <summary>The paths of the other files; none if the model is in one.</summary>
    /// <exception cref="KoalaException">A file is missing, or the one that is open is not the first.</exception>
    internal IEnumerable<string> OtherFiles()
    {
        if (values.OptionalSize("split.count", MostFiles) is not { } count || count == 1) return [];
        var name = NamePattern.Match(values.Path);
        var isNamed = name.Success && int.Parse(name.Groups[2].ValueSpan, CultureInfo.InvariantCulture) == count;
        if (!isNamed)
            throw values.Fault("split.count", $"is {count}, but the file's name does not end in -00001-of-{count:00000}.gguf",
                "give all files of the model the names that they had, in one folder");
        string PathOf(int number) => $"{values.Path[..name.Index]}-{number:00000}-of-{count:00000}{name.Groups[3].Value}";
        if (int.Parse(name.Groups[1].ValueSpan, CultureInfo.InvariantCulture) is var number and not 1)
            throw new KoalaException(values.Path, $"is file {number} of {count} of a model", $"name the first one: {PathOf(1)}");
        string[] others = [.. Enumerable.Range(2, count - 1).Select(PathOf)];
        return others.FirstOrDefault(path => !File.Exists(path)) is { } missing
            ? throw new KoalaException(missing, $"is missing; the model is split into {count} files", "get this file as well")
            : others;
    }
}
