using Koala.Lab.Runtime.Native;
using static TorchSharp.torch;

namespace Koala.Lab.Runtime.Machine;

/// <summary>Whether bf16 or fp32 is faster on this CPU. This is measured once per process, in under half a second.</summary>
/// <remarks>
/// bf16 halves the bytes that a step reads, but a CPU without bf16 instructions loses more time in arithmetic than that saves. It is
/// also unknown whether a library uses the instructions that a CPU has. The answer is therefore measured, not looked up.
/// </remarks>
public static class FastestDtype
{
    // The two large linear layers of four decoder layers of a 135M model: 28 MB in fp32, an eighth of a step of such a model.
    private const int Layers = 4;
    private const int Width = 576;
    private const int Inner = 1536;
    private const int VerifyTokens = 8;

    private static readonly Lazy<StepTiming> s_timing = new(Measure);

    /// <summary>The measurement, with the number of threads that torch had when this property was first read.</summary>
    /// <exception cref="KoalaException">libtorch was not found or could not be loaded.</exception>
    public static StepTiming OnCpu
    {
        get
        {
            LibTorch.EnsureLoaded();
            return s_timing.Value;
        }
    }

    private static StepTiming Measure()
    {
        using var scope = NewDisposeScope();
        using var grad = no_grad();
        var fp32 = Step(ScalarType.Float32);
        var bf16 = Step(ScalarType.BFloat16);
        var best = InterleavedTiming.BestMs(rounds: 15, TimeSpan.FromSeconds(0.3), fp32, bf16);
        return new StepTiming(best[0], best[1]);
    }

    /// <summary>Runs one token and then eight through the stack, like the steps and the verification of a round.</summary>
    private static Action Step(ScalarType dtype)
    {
        // Constants, not random numbers: the global random generator belongs to the user. 1/width keeps the values from growing.
        var up = Weights(Inner, Width, dtype);
        var down = Weights(Width, Inner, dtype);
        Tensor[] inputs = [full([1, Width], 1f, dtype), full([VerifyTokens, Width], 1f, dtype)];
        return () =>
        {
            using var scope = NewDisposeScope();
            foreach (var input in inputs)
            {
                var x = input;
                for (var layer = 0; layer < Layers; layer++)
                    x = nn.functional.linear(nn.functional.linear(x, up[layer]), down[layer]);
            }
        };
    }

    private static Tensor[] Weights(int rows, int columns, ScalarType dtype) =>
        [.. Enumerable.Range(0, Layers).Select(_ => full([rows, columns], 1f / columns, dtype))];
}

/// <summary>
/// The time of a small stack of linear layers in each dtype on the CPU: one token and then eight, the best of several times.
/// </summary>
/// <param name="Fp32Ms">Milliseconds in fp32.</param>
/// <param name="Bf16Ms">Milliseconds in bf16.</param>
public sealed record StepTiming(double Fp32Ms, double Bf16Ms)
{
    /// <summary>The name of the faster dtype, as <see cref="Dtypes.Parse"/> reads it.</summary>
    public string Fastest => Bf16Ms < Fp32Ms ? "bf16" : "fp32";
}
