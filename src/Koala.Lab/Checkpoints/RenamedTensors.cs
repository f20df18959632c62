using static TorchSharp.torch;

namespace Koala.Lab.Checkpoints;

/// <summary>
/// The tensors of a target whose names have another beginning than Hugging Face's: wrappers put <c>module.</c> or
/// <c>base_model.model.</c> before them, and a model that was saved without its output layer lacks <c>model.</c>.
/// </summary>
internal sealed class RenamedTensors : ITensorSource, IStoredMatrices
{
    private const string Embedding = "embed_tokens.weight";
    private const string Model = "model.";

    private readonly ITensorSource _source;
    private readonly Dictionary<string, string> _names = [];   // the names in the file, by Hugging Face's
    private readonly Dictionary<string, TensorInfo> _tensors = [];

    private RenamedTensors(ITensorSource source, string beginning, string replacement)
    {
        _source = source;
        foreach (var (name, info) in source.Tensors)
        {
            // Only the decoder's own names lack the beginning; the output layer stands beside them.
            var renamed = name.StartsWith(beginning, StringComparison.Ordinal) && !name.StartsWith("lm_head.", StringComparison.Ordinal)
                ? replacement + name[beginning.Length..]
                : name;
            if (!_names.TryAdd(renamed, name))
                throw new KoalaException(source.Path,
                    $"contains both '{MessageText.Text(_names[renamed])}' and '{MessageText.Text(name)}', which are the same tensor",
                    "get the file again");
            _tensors.Add(renamed, info with { Name = renamed });
        }
    }

    /// <inheritdoc/>
    public string Path => _source.Path;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, TensorInfo> Tensors => _tensors;

    /// <summary>Gives a target's tensors Hugging Face's names. The embedding shows what their names begin with.</summary>
    /// <returns>The source itself if its names need no change; otherwise a source that owns it.</returns>
    public static ITensorSource Wrap(ITensorSource source)
    {
        static bool IsEmbedding(string name) => $".{name}".EndsWith($".{Embedding}", StringComparison.Ordinal);
        string[] embeddings = [.. source.Tensors.Keys.Where(IsEmbedding)];
        if (embeddings is not [var embedding] || embedding == Model + Embedding) return source;
        var beginning = embedding[..^Embedding.Length];
        return beginning.EndsWith(Model, StringComparison.Ordinal)
            ? new RenamedTensors(source, beginning[..^Model.Length], "")
            : new RenamedTensors(source, beginning, Model);
    }

    /// <inheritdoc/>
    public Tensor Read(string name, ScalarType dtype, Device device) => _source.Read(_names.GetValueOrDefault(name, name), dtype, device);

    /// <inheritdoc/>
    public StoredMatrix? Stored(string name) => StoredMatrix.Find(_source, _names.GetValueOrDefault(name, name));

    /// <inheritdoc/>
    public void Dispose() => _source.Dispose();
}
