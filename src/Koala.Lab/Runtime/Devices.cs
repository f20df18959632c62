using Koala.Lab.Runtime.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Runtime;

/// <summary>The devices a model runs on, by the names that the command, JSON and reports use: <c>cpu</c> and <c>cuda</c>.</summary>
public static class Devices
{
    // As those who load a target call it.
    private const string Option = "Device";

    /// <exception cref="KoalaException">The name is unknown, or cuda is asked for and absent.</exception>
    public static Device Parse(string name)
    {
        LibTorch.EnsureLoaded();
        return name switch
        {
            "cpu" => CPU,
            "cuda" when cuda.is_available() => CUDA,
            "cuda" => throw new KoalaException($"{new OptionName(Option)} cuda",
                LibTorch.HasCuda ? "no CUDA device answers" : "this libtorch is built for the CPU only",
                $"{HowToGetCuda}, or use {new OptionName(Option)} cpu"),
            _ => throw KoalaException.ForOption(Option, $"is '{name}', but a model runs on cpu or cuda", "set it to cpu or cuda"),
        };
    }

    private static string HowToGetCuda => LibTorch.HasCuda ? "check the driver with nvidia-smi"
        : $"name the lib folder of a CUDA libtorch or PyTorch in {LibTorch.FolderVariable}";

    /// <summary>The name of a device that <see cref="Parse"/> reads.</summary>
    public static string Name(Device device) => device.type == DeviceType.CUDA ? "cuda" : "cpu";
}
