namespace Koala.Lab.Checkpoints;

/// <summary>A target's folder in Hugging Face's layout: config.json and weights in safetensors, whole or sharded.</summary>
public sealed class ModelFolder : IDisposable
{
    private const long LongestConfig = 1 << 20;

    private ModelFolder(string path, ModelConfig config, ITensorSource tensors)
    {
        Path = path;
        Config = config;
        Tensors = tensors;
    }

    /// <summary>The folder as it was given.</summary>
    public string Path { get; }

    /// <summary>The folder's own name, by which reports call the model.</summary>
    public string Name => new DirectoryInfo(Path).Name;

    /// <summary>The model's shape.</summary>
    public ModelConfig Config { get; }

    /// <summary>The weights. They go with the folder when it is disposed.</summary>
    public ITensorSource Tensors { get; }

    /// <exception cref="KoalaException">The folder or a file of it is missing, not valid, or of a kind Koala does not compute.</exception>
    public static ModelFolder Open(string path)
    {
        if (File.Exists(path)) throw new KoalaException(path, "is a file, but a model's folder is expected", "name the folder that holds config.json");
        if (!Directory.Exists(path)) throw new KoalaException(path, "does not exist", "check the path");
        var config = ReadConfig(path);
        return new ModelFolder(path, config, OpenWeights(path));
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
