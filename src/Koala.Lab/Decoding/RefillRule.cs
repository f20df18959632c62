using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Decoding;

/// <summary>When the prompts that wait take the places of answers that have ended.</summary>
internal static class RefillRule
{
    // On a GPU reading one prompt takes as long as reading many. So free places wait until 1/8 of the batch is free.
    private const int GpuPart = 8;

    /// <summary>The number of free places from which on prompts take them; fewer do where fewer prompts wait.</summary>
    /// <param name="device">The target's device.</param>
    /// <param name="batch">The number of answers at once.</param>
    public static int LeastFree(Device device, int batch) => device.type == DeviceType.CUDA ? Math.Max(1, batch / GpuPart) : 1;
}
