using System.Runtime.InteropServices;
using Koala.Lab.Runtime.Cuda;

namespace Koala.Lab.Runtime.Machine;

/// <summary>The machine that a report or a run was made on.</summary>
/// <param name="Cpu">The processor's name.</param>
/// <param name="Cores">The number of logical cores that this process may use.</param>
/// <param name="MemoryBytes">The memory that this process may use, in bytes; the container's limit if there is one.</param>
/// <param name="Os">The operating system's name and version.</param>
/// <param name="DotNet">The .NET runtime's version.</param>
/// <param name="Gpu">The first GPU; null if there is none.</param>
public sealed record MachineInfo(string Cpu, int Cores, long MemoryBytes, string Os, string DotNet, Gpu? Gpu = null)
{
    /// <summary>This machine.</summary>
    public static MachineInfo Current { get; } = new(CpuInfo.Current.Name, Environment.ProcessorCount,
        GC.GetGCMemoryInfo().TotalAvailableMemoryBytes, RuntimeInformation.OSDescription, Environment.Version.ToString(), Gpu.Current);
}
