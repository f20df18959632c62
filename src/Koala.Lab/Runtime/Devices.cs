using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Runtime;

/// <summary>The devices a model runs on, by the names that the command, JSON and reports use: <c>cpu</c> and <c>cuda</c>.</summary>
public static class Devices
{
    /// <exception cref="KoalaException">The name is unknown, or cuda is asked for and absent.</exception>
    public static Device Parse(string name)
    {
        LibTorch.EnsureLoaded();
        return name switch
        {
            "cpu" => CPU,
            "cuda" when cuda.is_available() => CUDA,
            "cuda" => throw new KoalaException("--device cuda",
                LibTorch.HasCuda ? "no CUDA device answers" : "this libtorch is built for the CPU only",
                LibTorch.HasCuda ? "check the driver with nvidia-smi, or use --device cpu"
                    : $"name the lib folder of a CUDA libtorch or PyTorch in {LibTorch.FolderVariable}, or use --device cpu"),
            _ => throw new KoalaException("--device", $"is '{name}', but a model runs on cpu or cuda", "set it to cpu or cuda"),
        };
    }

    /// <summary>The name of a device that <see cref="Parse"/> reads.</summary>
    public static string Name(Device device) => device.type == DeviceType.CUDA ? "cuda" : "cpu";
}
