using System.Text.Json;
using static TorchSharp.torch;

namespace Koala.Lab.Checkpoints;

/// <summary>Tensors in several files of weights (shards) with an index, as Hugging Face writes large models.</summary>
internal sealed class ShardedWeights : ITensorSource, IStoredMatrices
{
    private const long LongestIndex = 32 << 20;

    private readonly Dictionary<string, ITensorSource> _shards = [];
    private readonly Dictionary<string, ITensorSource> _owners = [];
    private readonly Dictionary<string, ITensorSource> _forgotten = [];   // tensors in a shard that the index does not list
    private readonly Dictionary<string, TensorInfo> _tensors = [];

    private ShardedWeights(string path) => Path = path;

    /// <inheritdoc/>
    public string Path { get; }

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, TensorInfo> Tensors => _tensors;

    /// <param name="indexPath">
    /// The index, <c>model.safetensors.index.json</c> or <c>pytorch_model.bin.index.json</c>; its shards are in the same folder.
    /// </param>
    /// <exception cref="KoalaException">The index or a shard is missing or not valid, or the two disagree about a tensor.</exception>
    public static ShardedWeights Open(string indexPath)
    {
        var sharded = new ShardedWeights(indexPath);
        try
        {
            sharded.OpenShards();
            return sharded;
        }
        catch
        {
            sharded.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public Tensor Read(string name, ScalarType dtype, Device device) =>
        Owner(name)?.Read(name, dtype, device)
        ?? throw new KoalaException(Path, $"contains no tensor '{MessageText.Text(name)}'",
            "check that the file belongs to this kind of model");

    /// <inheritdoc/>
    public StoredMatrix? Stored(string name) => Owner(name) is { } shard ? StoredMatrix.Find(shard, name) : null;

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var shard in _shards.Values) shard.Dispose();
    }

    private ITensorSource? Owner(string name) => _owners.GetValueOrDefault(name) ?? _forgotten.GetValueOrDefault(name);

    private void OpenShards()
    {
        var index = JsonFile.Parse(JsonFile.Read(Path, LongestIndex), Path);
        if (!index.TryGetProperty("weight_map", out var map) || map.ValueKind != JsonValueKind.Object)
            throw new KoalaException(Path, "has no object weight_map", "get the file again");
        foreach (var entry in map.EnumerateObject())
        {
            var shard = Shard(entry);
            if (!shard.Tensors.TryGetValue(entry.Name, out var info))
                throw new KoalaException(Path, $"says that tensor '{MessageText.Text(entry.Name)}' is in "
                    + $"{MessageText.Text(entry.Value.GetString()!)}, but that file lacks it", "get both files again");
            _tensors.Add(entry.Name, info);
            _owners.Add(entry.Name, shard);
        }
        // Other readers load whole shards, so a tensor that the index forgets counts. Where the index names another shard, it decides.
        foreach (var (file, shard) in _shards)
            foreach (var (name, info) in shard.Tensors)
                if (!_owners.ContainsKey(name)) AddForgotten(file, shard, info);
    }

    private void AddForgotten(string file, ITensorSource shard, TensorInfo info)
    {
        if (_tensors.TryAdd(info.Name, info))
        {
            _forgotten.Add(info.Name, shard);
            return;
        }
        throw new KoalaException(Path, $"does not list tensor '{MessageText.Text(info.Name)}', which is in {file} and in "
            + System.IO.Path.GetFileName(_forgotten[info.Name].Path), "get the files again");
    }

    private ITensorSource Shard(JsonProperty entry)
    {
        var file = entry.Value.ValueKind == JsonValueKind.String ? entry.Value.GetString()! : "";
        // Only a plain file name is allowed: an index must not refer to files outside its folder.
        if (file.Length == 0 || file is "." or ".." || file.AsSpan().ContainsAny("/\\:\0"))
            throw new KoalaException(Path, $"lists tensor '{MessageText.Text(entry.Name)}' in '{MessageText.Text(file)}', "
                + "but a shard must be a file name without folders", "get the file from its publisher");
        if (_shards.TryGetValue(file, out var shard)) return shard;
        var path = System.IO.Path.Combine(System.IO.Path.GetDirectoryName(Path) ?? "", file);
        if (!File.Exists(path))
            throw new KoalaException(path, $"is missing, but {System.IO.Path.GetFileName(Path)} lists tensors in it",
                "get the missing shard");
        return _shards[file] = WeightFile.Open(path);
    }
}
