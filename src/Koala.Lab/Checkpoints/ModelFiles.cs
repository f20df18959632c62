using Koala.Lab.Checkpoints.Gguf;
using Koala.Lab.Checkpoints.Safetensors;

namespace Koala.Lab.Checkpoints;

/// <summary>A target as it lies on the disk: a folder in Hugging Face's layout (config.json and weights in safetensors, whole or sharded), or a GGUF file.</summary>
public sealed class ModelFiles : IDisposable
{
    private const long LongestConfig = 1 << 20;

    private ModelFiles(ModelLocation location, ModelConfig config, ITensorSource tensors)
    {
        Path = location.Path;
        Name = location.Name;
        Config = config;
        Tensors = tensors;
    }

    /// <summary>The folder or file: as it was given, or in the hub's cache.</summary>
    public string Path { get; }

    /// <summary>What reports call the model; see <see cref="ModelLocation.Name"/>.</summary>
    public string Name { get; }

    /// <summary>The model's shape.</summary>
    public ModelConfig Config { get; }

    /// <summary>The weights. They go with this object when it is disposed.</summary>
    public ITensorSource Tensors { get; }

    /// <param name="path">A folder, a file whose first bytes say that it is GGUF, or a model's name in the hub's cache.</param>
    /// <exception cref="KoalaException">The folder or a file is missing, not valid, or of a kind Koala does not compute.</exception>
    public static ModelFiles Open(string path)
    {
        var location = ModelLocation.Find(path);
        if (File.Exists(location.Path))
        {
            var file = GgufFile.Open(location.Path);
            return new ModelFiles(location, file.Config, file);
        }
        var config = ReadConfig(location.Path);
        return new ModelFiles(location, config, OpenWeights(location.Path));
    }

    /// <inheritdoc/>
    public void Dispose() => Tensors.Dispose();

    private static ModelConfig ReadConfig(string path)
    {
        var config = System.IO.Path.Combine(path, "config.json");
        if (!File.Exists(config)) throw new KoalaException(path, "holds no config.json", "name a model's folder in Hugging Face's layout");
        var generation = System.IO.Path.Combine(path, "generation_config.json");
        return File.Exists(generation)
            ? ModelConfig.Parse(JsonFile.Read(config, LongestConfig), config, JsonFile.Read(generation, LongestConfig), generation)
            : ModelConfig.Parse(JsonFile.Read(config, LongestConfig), config);
    }

    private static ITensorSource OpenWeights(string path)
    {
        var whole = System.IO.Path.Combine(path, "model.safetensors");
        if (File.Exists(whole)) return SafetensorsFile.Open(whole);
        var index = whole + ".index.json";
        if (File.Exists(index)) return ShardedSafetensors.Open(index);
        if (Directory.EnumerateFiles(path, "pytorch_model*.bin").Any())
            throw new KoalaException(path, "holds pytorch_model.bin only, whose format can carry code",
                "convert it where transformers is installed: AutoModelForCausalLM.from_pretrained(folder).save_pretrained(folder, safe_serialization=True)");
        throw new KoalaException(path, "holds neither model.safetensors nor model.safetensors.index.json", "get the weights as well");
    }
}
