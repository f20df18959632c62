namespace Koala.Lab.Checkpoints;

/// <summary>Checks that a file contains exactly the tensors that a model needs.</summary>
public static class TensorCheck
{
    /// <summary>Checks every tensor. One error names all that are missing, unexpected or have a wrong shape.</summary>
    /// <param name="source">The file or files.</param>
    /// <param name="expected">The names and shapes that the model needs.</param>
    /// <param name="optional">
    /// Names that may be present or absent. If <paramref name="expected"/> has the shape of one that is present, it must match.
    /// </param>
    /// <exception cref="KoalaException">A tensor is missing or unexpected, or has a wrong shape.</exception>
    public static void Check(
        ITensorSource source, IReadOnlyDictionary<string, long[]> expected, IReadOnlyCollection<string>? optional = null)
    {
        var tensors = source.Tensors;
        var optionalNames = optional?.ToHashSet() ?? [];
        var missing = expected.Keys.Where(name => !tensors.ContainsKey(name) && !optionalNames.Contains(name)).ToList();
        var unexpected = tensors.Keys.Where(name => !expected.ContainsKey(name) && !optionalNames.Contains(name)).ToList();
        var misshapen = expected.Where(e => tensors.TryGetValue(e.Key, out var found) && !found.Shape.SequenceEqual(e.Value));
        List<string> wrongShapes =
            [.. misshapen.Select(e => $"{e.Key} {MessageText.Shape(tensors[e.Key].Shape)} in place of {MessageText.Shape(e.Value)}")];

        List<string> faults = [];
        if (missing.Count > 0) faults.Add($"{missing.Count} missing ({MessageText.List(missing)})");
        if (unexpected.Count > 0) faults.Add($"{unexpected.Count} unexpected ({MessageText.List(unexpected)})");
        if (wrongShapes.Count > 0) faults.Add($"{wrongShapes.Count} wrongly shaped ({MessageText.List(wrongShapes)})");
        if (faults.Count > 0)
            throw new KoalaException(source.Path, $"does not contain the tensors that the model needs: {string.Join("; ", faults)}",
                "check that the weights and the config belong to the same model");
    }
}
