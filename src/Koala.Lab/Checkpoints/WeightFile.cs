using Koala.Lab.Checkpoints.Pickles;
using Koala.Lab.Checkpoints.Safetensors;

namespace Koala.Lab.Checkpoints;

/// <summary>Opens weights whatever the kind of their file: safetensors, or a file of PyTorch's torch.save.</summary>
public static class WeightFile
{
    private static readonly string[] s_extensions = [".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle"];

    // The names that Hugging Face gives the weights of a folder, the preferred ones first.
    private static readonly string[] s_names = ["model.safetensors", "pytorch_model.bin"];

    /// <summary>Opens a file. Its first bytes say what it is; where they do not, its extension does.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The tensors. The caller must dispose them.</returns>
    /// <exception cref="KoalaException">The file cannot be opened, is damaged, or holds anything but tensors.</exception>
    public static ITensorSource Open(string path)
    {
        KoalaException.ThrowIfNull(path);
        return IsPickle(path) ? PickleFile.Open(path) : SafetensorsFile.Open(path);
    }

    /// <summary>
    /// Opens the weights of a folder in Hugging Face's layout: <c>model.safetensors</c>, its shards, <c>pytorch_model.bin</c>, or its
    /// shards, whichever comes first.
    /// </summary>
    /// <param name="folder">The folder.</param>
    /// <returns>The tensors. The caller must dispose them.</returns>
    /// <exception cref="KoalaException">There are none, or a file is damaged or holds anything but tensors.</exception>
    internal static ITensorSource OpenFolder(string folder)
    {
        if (FindIn(folder) is { } path) return path.EndsWith(".json", StringComparison.Ordinal) ? ShardedWeights.Open(path) : Open(path);
        throw new KoalaException(folder,
            $"contains neither {string.Join(" nor ", s_names)}, nor an index of shards ({s_names[0]}.index.json)",
            "get the weights as well");
    }

    private static string? FindIn(string folder) => s_names
        .SelectMany(name => new[] { Path.Combine(folder, name), Path.Combine(folder, $"{name}.index.json") })
        .FirstOrDefault(File.Exists);

    private static bool IsPickle(string path)
    {
        var (file, length) = FileBytes.Open(path);
        using (file)
        {
            var start = new byte[Math.Min(length, 9)];
            FileBytes.Fill(file, start, 0, path);
            // A header of safetensors begins with its length in eight bytes, which may look like the beginning of another file.
            if (start is [_, _, _, _, 0, 0, 0, 0, (byte)'{']) return false;
            return PickleLayout.Begins(start) || s_extensions.Contains(Path.GetExtension(path).ToLowerInvariant());
        }
    }
}
