using System.Runtime.InteropServices;

namespace Koala.Lab.Targets.Fused;

/// <summary>What a launch of Decoder.cu's step gets; the fields are those of Step there.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct StepArguments
{
    /// <summary>The most layers whose outputs a step can return.</summary>
    public const int MostFeatures = 8;

    public IntPtr Rows;
    public IntPtr Embedding;
    public IntPtr Layers;
    public IntPtr Caches;
    public IntPtr FinalNorm;
    public IntPtr Frequencies;
    public IntPtr Residual;
    public IntPtr Scaled;
    public IntPtr Squares;
    public IntPtr Rotations;
    public IntPtr Queries;
    public IntPtr Keys;
    public IntPtr Attended;
    public IntPtr Inner;
    public IntPtr Hidden;
    public IntPtr Features;
    public IntPtr Barrier;
    public int Count;
    public int Capacity;
    public int Longest;
    public int FeatureCount;
    public fixed int FeatureLayers[MostFeatures];
    public IntPtr Given;
    public IntPtr JoinWeights;
    public IntPtr JoinBias;
    public IntPtr Ones;
    public IntPtr Joined;
    public IntPtr Chosen;
    public IntPtr Ids;
    public int NormResidual;
}
