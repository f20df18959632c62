namespace Koala.Lab.Results;

/// <summary>
/// Finds a field by its path or by the end of its path: <c>layers</c> for <c>options.head.layers</c>, or <c>speedup.low</c> for
/// <c>report.speedup.low</c>.
/// </summary>
/// <param name="paths">The paths of all fields that occur.</param>
internal sealed class FieldNames(IEnumerable<string> paths)
{
    private readonly HashSet<string> _paths = [.. paths];

    /// <summary>The path of a field.</summary>
    /// <param name="name">The path, or its end.</param>
    /// <param name="option">The C# name of the option that the name comes from.</param>
    /// <exception cref="KoalaException">There is no such field, or several have this end.</exception>
    public string Find(string name, string option)
    {
        if (_paths.Contains(name)) return name;
        string[] ends = [.. _paths.Where(path => IsEnd(name, path)).Order(StringComparer.Ordinal)];
        if (ends is [var only]) return only;
        if (ends.Length > 1)
        {
            throw KoalaException.ForOption(option, $"{name} is the end of {string.Join(" and of ", ends)}",
                "write more of the field's path");
        }
        // A mistyped name is compared with whole paths and with their ends.
        var known = _paths.Where(path => !path.Contains('[')).SelectMany(path => (string[])[path, path[(path.LastIndexOf('.') + 1)..]]);
        var nearest = NearestWord.Find(name, known.Distinct());
        throw KoalaException.ForOption(option, $"no run has a field {name}{(nearest is null ? "" : $"; the nearest is {nearest}")}",
            "name a field of run.json, of its options, of its metrics or of its newest report");
    }

    // Values of lists, such as the figures of a category, need their whole path, so that they do not make an end ambiguous.
    private static bool IsEnd(string name, string path) =>
        path.Length > name.Length && path.EndsWith(name, StringComparison.Ordinal) && path[^(name.Length + 1)] == '.'
        && (name.Contains('[') || !path.Contains('['));
}
