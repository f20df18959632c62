using Koala.Lab.Runtime.Native;

namespace Koala.Lab.Runtime.Machine;

/// <summary>The environment variables that change what Koala or its libtorch does.</summary>
internal static class EnvironmentVariables
{
    private static readonly string[] s_names =
    [
        LibTorch.FolderVariable,    // where libtorch is
        "NUGET_PACKAGES",           // the package cache
        "XDG_CACHE_HOME",           // Koala's cache
        "HF_HOME",                  // the hub's cache and token
        "HF_HUB_CACHE",             // the hub's cache
        "HF_ENDPOINT",              // the hub's address
        "HF_HUB_OFFLINE",           // if set, pull refuses
        "OMP_NUM_THREADS",          // read by libtorch: threads per operation
        "MKL_NUM_THREADS",          // the same
        "PYTORCH_TENSOREXPR",       // read by libtorch: 0 turns fusion off
        "CUDA_VISIBLE_DEVICES",     // read by CUDA
    ];

    /// <summary>Returns the value of each variable by its name; null where it is not set.</summary>
    internal static IReadOnlyDictionary<string, string?> Read() =>
        s_names.ToDictionary(name => name, Environment.GetEnvironmentVariable);
}
