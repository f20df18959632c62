using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Koala.Lab.Kernels;

/// <summary>What a decoder layer computes beside its products and its attention, for one row at a time.</summary>
/// <remarks>The result of a row depends on that row alone, and on the width of this processor's vectors.</remarks>
internal static unsafe class RowKernels
{
    private static readonly delegate*<float*, float*, float, int, float*, void> s_norm =
        Vector512.IsHardwareAccelerated ? &Norm<Vector512Unit, Vector512<float>>
        : Vector256.IsHardwareAccelerated ? &Norm<Vector256Unit, Vector256<float>> : &Norm<Vector128Unit, Vector128<float>>;

    private static readonly delegate*<float*, float*, int, bool, float*, void> s_gate =
        Vector512.IsHardwareAccelerated ? &Gate<Vector512Unit, Vector512<float>>
        : Vector256.IsHardwareAccelerated ? &Gate<Vector256Unit, Vector256<float>> : &Gate<Vector128Unit, Vector128<float>>;

    private static readonly delegate*<float*, float*, int, void> s_add =
        Vector512.IsHardwareAccelerated ? &Add<Vector512Unit, Vector512<float>>
        : Vector256.IsHardwareAccelerated ? &Add<Vector256Unit, Vector256<float>> : &Add<Vector128Unit, Vector128<float>>;

    private static readonly delegate*<float*, float*, float*, int, void> s_rotate =
        Vector512.IsHardwareAccelerated ? &Rotate<Vector512Unit, Vector512<float>>
        : Vector256.IsHardwareAccelerated ? &Rotate<Vector256Unit, Vector256<float>> : &Rotate<Vector128Unit, Vector128<float>>;

    private static readonly delegate*<float*, int, float> s_max =
        Vector512.IsHardwareAccelerated ? &Max<Vector512Unit, Vector512<float>>
        : Vector256.IsHardwareAccelerated ? &Max<Vector256Unit, Vector256<float>> : &Max<Vector128Unit, Vector128<float>>;

    /// <summary>Root-mean-square norm: x / √(mean(x²) + epsilon) · weight.</summary>
    /// <param name="x">The row.</param>
    /// <param name="weight">The weights; null means that there are none.</param>
    /// <param name="epsilon">What is added to the mean.</param>
    /// <param name="width">The numbers of the row.</param>
    /// <param name="y">The result; may be the row itself.</param>
    public static void Norm(float* x, float* weight, float epsilon, int width, float* y) => s_norm(x, weight, epsilon, width, y);

    /// <summary>y = SiLU(gate)·up, or GELU(gate)·up in its tanh form.</summary>
    /// <param name="gate">The gate's numbers.</param>
    /// <param name="up">What they are multiplied by.</param>
    /// <param name="width">The number of each.</param>
    /// <param name="y">The result.</param>
    /// <param name="isGelu">Whether the activation is GELU.</param>
    public static void Gate(float* gate, float* up, int width, float* y, bool isGelu = false) => s_gate(gate, up, width, isGelu, y);

    /// <summary>x += y.</summary>
    public static void Add(float* x, float* y, int width) => s_add(x, y, width);

    /// <summary>Rotates a head's numbers: rotary position embedding over halves, as Hugging Face's Llama.</summary>
    /// <param name="x">The head's numbers, which change.</param>
    /// <param name="cos">The cosines of the position's angles, half as many as the head's numbers.</param>
    /// <param name="sin">The sines.</param>
    /// <param name="half">Half the width of the head.</param>
    public static void Rotate(float* x, float* cos, float* sin, int half) => s_rotate(x, cos, sin, half);

    /// <summary>The largest number of a row that has at least one; NaN if there is one.</summary>
    public static float Max(ReadOnlySpan<float> row)
    {
        fixed (float* x = row) return s_max(x, row.Length);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Max<TUnit, TVector>(float* x, int width) where TUnit : IVectorUnit<TVector> where TVector : unmanaged
    {
        var most = x[0];
        var i = 0;
        if (width >= 4 * TUnit.Width)
        {
            var low = TUnit.Broadcast(most);
            TVector a = low, b = low, c = low, d = low;
            for (; i <= width - 4 * TUnit.Width; i += 4 * TUnit.Width)
            {
                a = TUnit.Max(a, TUnit.Load(x + i));
                b = TUnit.Max(b, TUnit.Load(x + i + TUnit.Width));
                c = TUnit.Max(c, TUnit.Load(x + i + 2 * TUnit.Width));
                d = TUnit.Max(d, TUnit.Load(x + i + 3 * TUnit.Width));
            }
            most = TUnit.Max(TUnit.Max(TUnit.Max(a, b), TUnit.Max(c, d)));
        }
        for (; i < width; i++) most = MathF.Max(most, x[i]);
        return most;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Norm<TUnit, TVector>(float* x, float* weight, float epsilon, int width, float* y)
        where TUnit : IVectorUnit<TVector> where TVector : unmanaged
    {
        var squares = TUnit.Zero;
        var i = 0;
        for (; i <= width - TUnit.Width; i += TUnit.Width)
        {
            var v = TUnit.Load(x + i);
            squares = TUnit.MultiplyAdd(v, v, squares);
        }
        var sum = TUnit.Sum(squares);
        for (; i < width; i++) sum = MathF.FusedMultiplyAdd(x[i], x[i], sum);
        var factor = 1 / MathF.Sqrt(sum / width + epsilon);
        var factors = TUnit.Broadcast(factor);
        for (i = 0; i <= width - TUnit.Width; i += TUnit.Width)
        {
            var normed = TUnit.Multiply(TUnit.Load(x + i), factors);
            TUnit.Store(weight is null ? normed : TUnit.Multiply(normed, TUnit.Load(weight + i)), y + i);
        }
        for (; i < width; i++) y[i] = weight is null ? x[i] * factor : x[i] * factor * weight[i];
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Gate<TUnit, TVector>(float* gate, float* up, int width, bool isGelu, float* y)
        where TUnit : IVectorUnit<TVector> where TVector : unmanaged
    {
        // GELU's tanh form is x·sigmoid(2·√(2/π)·(x + 0.044715·x³)).
        const float Linear = 1.5957691216057308f, Cubic = 0.044715f * Linear;
        var one = TUnit.Broadcast(1);
        var (linear, cubic) = (TUnit.Broadcast(Linear), TUnit.Broadcast(Cubic));
        var i = 0;
        for (; i <= width - TUnit.Width; i += TUnit.Width) TUnit.Store(Gated(TUnit.Load(gate + i), TUnit.Load(up + i)), y + i);
        if (i == width) return;
        // The last numbers take a whole vector too, so that a number does not depend on its place in the row.
        var lastGate = stackalloc float[TUnit.Width];
        var lastUp = stackalloc float[TUnit.Width];
        new ReadOnlySpan<float>(gate + i, width - i).CopyTo(new Span<float>(lastGate, TUnit.Width));
        new ReadOnlySpan<float>(up + i, width - i).CopyTo(new Span<float>(lastUp, TUnit.Width));
        TUnit.Store(Gated(TUnit.Load(lastGate), TUnit.Load(lastUp)), lastGate);
        new ReadOnlySpan<float>(lastGate, width - i).CopyTo(new Span<float>(y + i, width - i));

        TVector Gated(TVector g, TVector u)
        {
            var x = isGelu ? TUnit.Multiply(g, TUnit.MultiplyAdd(TUnit.Multiply(g, g), cubic, linear)) : g;
            return TUnit.Multiply(TUnit.Divide(g, TUnit.Add(one, TUnit.Exp(TUnit.Subtract(TUnit.Zero, x)))), u);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Add<TUnit, TVector>(float* x, float* y, int width)
        where TUnit : IVectorUnit<TVector> where TVector : unmanaged
    {
        var i = 0;
        for (; i <= width - TUnit.Width; i += TUnit.Width) TUnit.Store(TUnit.Add(TUnit.Load(x + i), TUnit.Load(y + i)), x + i);
        for (; i < width; i++) x[i] += y[i];
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rotate<TUnit, TVector>(float* x, float* cos, float* sin, int half)
        where TUnit : IVectorUnit<TVector> where TVector : unmanaged
    {
        var i = 0;
        for (; i <= half - TUnit.Width; i += TUnit.Width)
        {
            var (c, s) = (TUnit.Load(cos + i), TUnit.Load(sin + i));
            var (a, b) = (TUnit.Load(x + i), TUnit.Load(x + half + i));
            TUnit.Store(TUnit.Subtract(TUnit.Multiply(a, c), TUnit.Multiply(b, s)), x + i);
            TUnit.Store(TUnit.MultiplyAdd(a, s, TUnit.Multiply(b, c)), x + half + i);
        }
        for (; i < half; i++)
        {
            var (a, b) = (x[i], x[half + i]);
            x[i] = a * cos[i] - b * sin[i];
            x[half + i] = MathF.FusedMultiplyAdd(a, sin[i], b * cos[i]);
        }
    }
}
