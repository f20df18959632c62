using Microsoft.Win32.SafeHandles;

namespace Koala.Lab.Checkpoints;

/// <summary>Recognizes files that PyTorch's pickling wrote. Such a file can contain code, so Koala never opens one.</summary>
internal static class PickledFile
{
    /// <summary>How the weights of a whole model become a file that Koala reads.</summary>
    internal const string ConvertModel = "use the publisher's safetensors, or convert it where transformers is installed: "
        + "AutoModelForCausalLM.from_pretrained(folder).save_pretrained(folder, safe_serialization=True)";

    private static readonly string[] s_extensions = [".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle"];

    /// <summary>Whether the name of a file is that of a pickle.</summary>
    internal static bool IsNamedSo(string path) => s_extensions.Contains(Path.GetExtension(path).ToLowerInvariant());

    /// <exception cref="KoalaException">The file begins like a pickle, or is named so and is no safetensors file.</exception>
    internal static void Refuse(string path, SafeFileHandle file, long length)
    {
        var start = new byte[Math.Min(length, 9)];
        FileBytes.Fill(file, start, 0, path);
        // A zip archive of torch.save, or a bare pickle of protocol 2 to 5.
        var isPickle = start is [(byte)'P', (byte)'K', 3, 4, ..] or [0x80, >= 2 and <= 5, ..];
        var isSafetensors = start is [_, _, _, _, 0, 0, 0, 0, (byte)'{'];
        if (isPickle && !isSafetensors || IsNamedSo(path) && !isSafetensors)
            throw new KoalaException(path, "is a PyTorch pickle, a format that can contain code; Koala does not open it",
                "use the publisher's safetensors, or save the tensors with safetensors.torch.save_file where PyTorch is installed");
    }
}
