using Koala.Lab.Runtime.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Runtime;

/// <summary>The devices that a model runs on, by their names in the command, JSON and reports: <c>cpu</c> and <c>cuda</c>.</summary>
public static class Devices
{
    /// <summary>The environment variable of CUDA that says which GPUs a process sees, and in which order: numbers from 0 or ids.</summary>
    public const string VisibleGpusVariable = "CUDA_VISIBLE_DEVICES";

    // The name of the parameter in the methods that load a target.
    private const string Option = "Device";

    /// <summary>The number of GPUs that libtorch can use; 0 if it is built for the CPU only.</summary>
    public static int CudaCount
    {
        get
        {
            LibTorch.EnsureLoaded();
            return cuda.is_available() ? cuda.device_count() : 0;
        }
    }

    /// <exception cref="KoalaException">The name is unknown, or it is cuda and there is no CUDA device.</exception>
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

    /// <summary>Returns the name of a device, as <see cref="Parse"/> reads it.</summary>
    public static string Name(Device device) => device.type == DeviceType.CUDA ? "cuda" : "cpu";
}
