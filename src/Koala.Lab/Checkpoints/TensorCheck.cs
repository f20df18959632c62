namespace Koala.Lab.Checkpoints;

/// <summary>Checks that a file holds exactly the tensors a model needs.</summary>
public static class TensorCheck
{
    /// <summary>Accounts for every tensor: what is missing, unexpected or wrongly shaped is named in one error.</summary>
    /// <param name="source">The file or files.</param>
    /// <param name="expected">Names and shapes the model needs.</param>
    /// <param name="optional">Names that may be there or not; the shape of one counts where <paramref name="expected"/> gives it.</param>
    /// <exception cref="KoalaException">Anything is missing, unexpected or wrongly shaped.</exception>
    public static void Check(ITensorSource source, IReadOnlyDictionary<string, long[]> expected, IReadOnlyCollection<string>? optional = null)
    {
        var free = optional?.ToHashSet() ?? [];
        var missing = expected.Keys.Where(name => !source.Tensors.ContainsKey(name) && !free.Contains(name)).ToList();
        var unexpected = source.Tensors.Keys.Where(name => !expected.ContainsKey(name) && !free.Contains(name)).ToList();
        var misshapen = expected.Where(e => source.Tensors.TryGetValue(e.Key, out var found) && !found.Shape.SequenceEqual(e.Value))
            .Select(e => $"{e.Key} {MessageText.Shape(source.Tensors[e.Key].Shape)} in place of {MessageText.Shape(e.Value)}").ToList();

        List<string> faults = [];
        if (missing.Count > 0) faults.Add($"{missing.Count} missing ({MessageText.List(missing)})");
        if (unexpected.Count > 0) faults.Add($"{unexpected.Count} unexpected ({MessageText.List(unexpected)})");
        if (misshapen.Count > 0) faults.Add($"{misshapen.Count} wrongly shaped ({MessageText.List(misshapen)})");
        if (faults.Count > 0)
            throw new KoalaException(source.Path, $"does not hold the tensors the model needs: {string.Join("; ", faults)}",
                "check that the weights and the config belong to the same model");
    }
}
