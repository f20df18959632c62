using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Koala.Lab.Kernels;

/// <summary>The cache slots that a row attends to, in the order of its sequence: the first ones, then some further ones.</summary>
/// <param name="First">The number of leading slots.</param>
/// <param name="Further">
/// The slots after them, ascending: a candidate's ancestors in a draft tree, and itself. They lie between other candidates' slots.
/// </param>
internal readonly record struct VisibleSlots(int First, int[] Further)
{
    /// <summary>The number of slots.</summary>
    public int Count => First + Further.Length;

    /// <summary>The last ones of them, counted from the slot that the result names.</summary>
    /// <param name="count">How many.</param>
    public (VisibleSlots Slots, int Start) Last(int count)
    {
        var dropped = Count - count;
        if (dropped <= 0) return (this, 0);
        return dropped < First
            ? (new VisibleSlots(First - dropped, [.. Further.Select(slot => slot - dropped)]), dropped)
            : (new VisibleSlots(0, Further[(dropped - First)..]), 0);
    }
}

/// <summary>Softmax attention of one query of one head over the keys and values that it sees.</summary>
/// <remarks>
/// Keys and values are taken in the order of the sequence, wherever they lie. So the result for a candidate of a draft tree has the same
/// bits as that for the same token in a step of its own, after its ancestors have moved together.
/// </remarks>
internal static unsafe class AttentionKernel
{
    private static readonly delegate*<float*, float*, float*, VisibleSlots, int, float, float, float*, float*, void> s_run =
        Vector512.IsHardwareAccelerated ? &Run<Vector512Unit, Vector512<float>>
        : Vector256.IsHardwareAccelerated ? &Run<Vector256Unit, Vector256<float>> : &Run<Vector128Unit, Vector128<float>>;

    /// <summary>The numbers of room that <see cref="Run"/> needs for scores over so many slots.</summary>
    public static int ScoreRoom(int slots) => slots + 16;

    /// <summary>Computes the mean of the values, weighted by the softmax of query·key·scale.</summary>
    /// <param name="query">The query.</param>
    /// <param name="keys">The key in slot 0 of the sequence and head; slots follow one another.</param>
    /// <param name="values">The value in slot 0.</param>
    /// <param name="visible">The slots that the query attends to, at least one.</param>
    /// <param name="width">The numbers of a query, key or value.</param>
    /// <param name="scale">What scores are multiplied by.</param>
    /// <param name="scores">Room for scores; see <see cref="ScoreRoom"/>.</param>
    /// <param name="result">The result; may be the query itself.</param>
    /// <param name="softCap">c of c·tanh(score/c), through which scores go; 0 for none.</param>
    public static void Run(
        float* query, float* keys, float* values, VisibleSlots visible, int width, float scale, float* scores, float* result,
        float softCap = 0) =>
        s_run(query, keys, values, visible, width, scale, softCap, scores, result);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Run<TUnit, TVector>(
        float* query, float* keys, float* values, VisibleSlots visible, int width, float scale, float softCap, float* scores,
        float* result)
        where TUnit : IVectorUnit<TVector> where TVector : unmanaged
    {
        fixed (int* further = visible.Further)
        {
            var (first, count) = (visible.First, visible.Count);
            var most = Scores<TUnit, TVector>(query, keys, first, further, count, width, scale, scores);
            if (softCap != 0) most = Cap(scores, count, softCap);
            var sum = Softmax<TUnit, TVector>(scores, count, most);
            var i = 0;
            for (; i <= width - 8 * TUnit.Width; i += 8 * TUnit.Width)
                Mean8<TUnit, TVector>(scores, values + i, first, further, count, width, sum, result + i);
            for (; i <= width - 4 * TUnit.Width; i += 4 * TUnit.Width)
                Mean4<TUnit, TVector>(scores, values + i, first, further, count, width, sum, result + i);
            for (; i <= width - 2 * TUnit.Width; i += 2 * TUnit.Width)
                Mean2<TUnit, TVector>(scores, values + i, first, further, count, width, sum, result + i);
            for (; i < width; i++)
            {
                var mean = 0f;
                for (var slot = 0; slot < count; slot++)
                    mean = MathF.FusedMultiplyAdd(scores[slot], values[At(slot, first, further) * width + i], mean);
                result[i] = mean / sum;
            }
        }
    }

    // Returns the largest of the new scores.
    private static float Cap(float* scores, int count, float softCap)
    {
        var most = float.NegativeInfinity;
        for (var i = 0; i < count; i++)
        {
            scores[i] = softCap * MathF.Tanh(scores[i] / softCap);
            most = MathF.Max(most, scores[i]);
        }
        return most;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static long At(int index, int first, int* further) => index < first ? index : further[index - first];

    // Four keys at a time, so that four sums are under way. Each key's score is computed by the same operations in the same order.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Scores<TUnit, TVector>(
        float* query, float* keys, int first, int* further, int count, int width, float scale, float* scores)
        where TUnit : IVectorUnit<TVector> where TVector : unmanaged
    {
        var most = float.NegativeInfinity;
        for (var slot = 0; slot < count; slot += 4)
        {
            var k0 = keys + At(slot, first, further) * width;
            var k1 = keys + At(Math.Min(slot + 1, count - 1), first, further) * width;
            var k2 = keys + At(Math.Min(slot + 2, count - 1), first, further) * width;
            var k3 = keys + At(Math.Min(slot + 3, count - 1), first, further) * width;
            TVector s0 = TUnit.Zero, s1 = TUnit.Zero, s2 = TUnit.Zero, s3 = TUnit.Zero;
            var i = 0;
            for (; i <= width - TUnit.Width; i += TUnit.Width)
            {
                var q = TUnit.Load(query + i);
                s0 = TUnit.MultiplyAdd(q, TUnit.Load(k0 + i), s0);
                s1 = TUnit.MultiplyAdd(q, TUnit.Load(k1 + i), s1);
                s2 = TUnit.MultiplyAdd(q, TUnit.Load(k2 + i), s2);
                s3 = TUnit.MultiplyAdd(q, TUnit.Load(k3 + i), s3);
            }
            var (f0, f1, f2, f3) = (TUnit.Sum(s0), TUnit.Sum(s1), TUnit.Sum(s2), TUnit.Sum(s3));
            for (; i < width; i++)
            {
                f0 = MathF.FusedMultiplyAdd(query[i], k0[i], f0);
                f1 = MathF.FusedMultiplyAdd(query[i], k1[i], f1);
                f2 = MathF.FusedMultiplyAdd(query[i], k2[i], f2);
                f3 = MathF.FusedMultiplyAdd(query[i], k3[i], f3);
            }
            (scores[slot], scores[slot + 1], scores[slot + 2], scores[slot + 3]) = (f0 * scale, f1 * scale, f2 * scale, f3 * scale);
            // What stands for keys beyond the last one repeats the last one.
            most = MathF.Max(most, MathF.Max(MathF.Max(scores[slot], scores[slot + 1]), MathF.Max(scores[slot + 2], scores[slot + 3])));
        }
        return most;
    }

    // Turns scores into exp(score - most) and returns their sum.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Softmax<TUnit, TVector>(float* scores, int count, float most)
        where TUnit : IVectorUnit<TVector> where TVector : unmanaged
    {
        for (var i = count; i < count + TUnit.Width; i++) scores[i] = float.NegativeInfinity;
        var (sum, mosts) = (TUnit.Zero, TUnit.Broadcast(most));
        for (var i = 0; i < count; i += TUnit.Width)
        {
            var e = TUnit.Exp(TUnit.Subtract(TUnit.Load(scores + i), mosts));
            TUnit.Store(e, scores + i);
            sum = TUnit.Add(sum, e);
        }
        return TUnit.Sum(sum);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Mean8<TUnit, TVector>(
        float* weights, float* values, int first, int* further, int count, int width, float sum, float* result)
        where TUnit : IVectorUnit<TVector> where TVector : unmanaged
    {
        TVector a = TUnit.Zero, b = TUnit.Zero, c = TUnit.Zero, d = TUnit.Zero;
        TVector e = TUnit.Zero, f = TUnit.Zero, g = TUnit.Zero, h = TUnit.Zero;
        for (var slot = 0; slot < count; slot++)
        {
            var w = TUnit.Broadcast(weights[slot]);
            var v = values + At(slot, first, further) * width;
            a = TUnit.MultiplyAdd(w, TUnit.Load(v), a);
            b = TUnit.MultiplyAdd(w, TUnit.Load(v + TUnit.Width), b);
            c = TUnit.MultiplyAdd(w, TUnit.Load(v + 2 * TUnit.Width), c);
            d = TUnit.MultiplyAdd(w, TUnit.Load(v + 3 * TUnit.Width), d);
            e = TUnit.MultiplyAdd(w, TUnit.Load(v + 4 * TUnit.Width), e);
            f = TUnit.MultiplyAdd(w, TUnit.Load(v + 5 * TUnit.Width), f);
            g = TUnit.MultiplyAdd(w, TUnit.Load(v + 6 * TUnit.Width), g);
            h = TUnit.MultiplyAdd(w, TUnit.Load(v + 7 * TUnit.Width), h);
        }
        var sums = TUnit.Broadcast(sum);
        TUnit.Store(TUnit.Divide(a, sums), result);
        TUnit.Store(TUnit.Divide(b, sums), result + TUnit.Width);
        TUnit.Store(TUnit.Divide(c, sums), result + 2 * TUnit.Width);
        TUnit.Store(TUnit.Divide(d, sums), result + 3 * TUnit.Width);
        TUnit.Store(TUnit.Divide(e, sums), result + 4 * TUnit.Width);
        TUnit.Store(TUnit.Divide(f, sums), result + 5 * TUnit.Width);
        TUnit.Store(TUnit.Divide(g, sums), result + 6 * TUnit.Width);
        TUnit.Store(TUnit.Divide(h, sums), result + 7 * TUnit.Width);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Mean4<TUnit, TVector>(
        float* weights, float* values, int first, int* further, int count, int width, float sum, float* result)
        where TUnit : IVectorUnit<TVector> where TVector : unmanaged
    {
        TVector a = TUnit.Zero, b = TUnit.Zero, c = TUnit.Zero, d = TUnit.Zero;
        for (var slot = 0; slot < count; slot++)
        {
            var w = TUnit.Broadcast(weights[slot]);
            var v = values + At(slot, first, further) * width;
            a = TUnit.MultiplyAdd(w, TUnit.Load(v), a);
            b = TUnit.MultiplyAdd(w, TUnit.Load(v + TUnit.Width), b);
            c = TUnit.MultiplyAdd(w, TUnit.Load(v + 2 * TUnit.Width), c);
            d = TUnit.MultiplyAdd(w, TUnit.Load(v + 3 * TUnit.Width), d);
        }
        var sums = TUnit.Broadcast(sum);
        TUnit.Store(TUnit.Divide(a, sums), result);
        TUnit.Store(TUnit.Divide(b, sums), result + TUnit.Width);
        TUnit.Store(TUnit.Divide(c, sums), result + 2 * TUnit.Width);
        TUnit.Store(TUnit.Divide(d, sums), result + 3 * TUnit.Width);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Mean2<TUnit, TVector>(
        float* weights, float* values, int first, int* further, int count, int width, float sum, float* result)
        where TUnit : IVectorUnit<TVector> where TVector : unmanaged
    {
        TVector a = TUnit.Zero, b = TUnit.Zero;
        for (var slot = 0; slot < count; slot++)
        {
            var w = TUnit.Broadcast(weights[slot]);
            var v = values + At(slot, first, further) * width;
            a = TUnit.MultiplyAdd(w, TUnit.Load(v), a);
            b = TUnit.MultiplyAdd(w, TUnit.Load(v + TUnit.Width), b);
        }
        var sums = TUnit.Broadcast(sum);
        TUnit.Store(TUnit.Divide(a, sums), result);
        TUnit.Store(TUnit.Divide(b, sums), result + TUnit.Width);
    }
}
