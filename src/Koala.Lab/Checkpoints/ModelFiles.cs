using Koala.Lab.Checkpoints.Gguf;

namespace Koala.Lab.Checkpoints;

/// <summary>
/// A target's files on disk: a folder in Hugging Face's layout (config.json, and weights in one or several files of safetensors or
/// of PyTorch), or a GGUF file.
/// </summary>
public sealed class ModelFiles : IDisposable
{
    private ModelFiles(ModelLocation location, ModelConfig config, ITensorSource tensors)
    {
        Path = location.Path;
        Name = location.Name;
        Config = config;
        Tensors = tensors;
    }

    /// <summary>The path of the folder or file, as it was given or in the hub's cache.</summary>
    public string Path { get; }

    /// <summary>The model's name in reports; see <see cref="ModelLocation.Name"/>.</summary>
    public string Name { get; }

    /// <summary>The model's sizes.</summary>
    public ModelConfig Config { get; }

    /// <summary>The weights. They are disposed together with this object.</summary>
    public ITensorSource Tensors { get; }

    /// <param name="path">A folder, a GGUF file (recognized by its first bytes), or a model's name in the hub's cache.</param>
    /// <exception cref="KoalaException">
    /// The folder or a file is missing or not valid, or it is a model that Koala does not compute.
    /// </exception>
    public static ModelFiles Open(string path)
    {
        var location = ModelLocation.Find(path);
        if (File.Exists(location.Path))
        {
            var file = GgufFile.Open(location.Path);
            return new ModelFiles(location, file.Config, file);
        }
        var config = ReadConfig(location.Path);
        return new ModelFiles(location, config, Named(WeightFile.OpenFolder(location.Path)));
    }

    /// <inheritdoc/>
    public void Dispose() => Tensors.Dispose();

    private static ModelConfig ReadConfig(string path)
    {
        if (ForeignFolder.Find(path) is { } fault) throw fault;
        if (FolderConfig.TryRead(path) is { } json && json.TryGetProperty("head", out _) && json.TryGetProperty("target", out _))
            throw new KoalaException(path, "holds a head that Koala trained, not a target", "name the target's folder");
        var config = System.IO.Path.Combine(path, FolderConfig.FileName);
        if (!File.Exists(config)) throw ForeignFolder.WithoutConfig(path);
        var generation = System.IO.Path.Combine(path, "generation_config.json");
        return File.Exists(generation)
            ? ModelConfig.Parse(Bytes(config), config, Bytes(generation), generation)
            : ModelConfig.Parse(Bytes(config), config);

        static byte[] Bytes(string file) => JsonFile.Read(file, FolderConfig.Longest);
    }

    private static ITensorSource Named(ITensorSource source)
    {
        try
        {
            return RenamedTensors.Wrap(ScaledTensors.Wrap(source));
        }
        catch
        {
            source.Dispose();
            throw;
        }
    }
}
