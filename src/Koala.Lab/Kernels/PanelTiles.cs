// Written by PanelTiles.py, which says why. Change that file, not this one.
using System.Runtime.CompilerServices;

namespace Koala.Lab.Kernels;

/// <summary>
/// Products of a few rows of activations with some outputs of a <see cref="PanelMatrix"/>. Each result is one chain of fused
/// multiply-adds over the inputs, so it does not depend on the number of rows or on the width of vectors.
/// </summary>
/// <remarks>
/// w: the weights of the first output. panelBytes: the distance between panels. x: the rows, interleaved: input k of all rows, then
/// k+1. pairs: the number of pairs of inputs. y: the results of the first row, from the first output on. stride: the distance between
/// rows of results. add: whether the sums go on from what y holds; otherwise they begin at zero.
/// </remarks>
internal static unsafe class PanelTiles<TUnit, TVector, TFormat>
    where TUnit : IVectorUnit<TVector>
    where TVector : unmanaged
    where TFormat : IPanelFormat
{
    /// <summary>The tile of a shape.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is none.</exception>
    public static delegate*<byte*, long, float*, int, float*, long, bool, void> Of(int rows, int vectors) => (rows, vectors) switch
    {
        (1, 8) => &Rows1Vectors8,
        (1, 4) => &Rows1Vectors4,
        (1, 2) => &Rows1Vectors2,
        (2, 4) => &Rows2Vectors4,
        (2, 2) => &Rows2Vectors2,
        (3, 2) => &Rows3Vectors2,
        (4, 2) => &Rows4Vectors2,
        (5, 2) => &Rows5Vectors2,
        (6, 2) => &Rows6Vectors2,
        (7, 2) => &Rows7Vectors2,
        (8, 2) => &Rows8Vectors2,
        (9, 2) => &Rows9Vectors2,
        (10, 2) => &Rows10Vectors2,
        (11, 2) => &Rows11Vectors2,
        (12, 2) => &Rows12Vectors2,
        _ => throw new ArgumentOutOfRangeException(nameof(rows)),
    };

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows1Vectors8(byte* w, long panelBytes, float* x, int pairs, float* y, long stride, bool add)
    {
        var w0 = At(w, panelBytes, 0);
        var w1 = At(w, panelBytes, 1);
        var w2 = At(w, panelBytes, 2);
        var w3 = At(w, panelBytes, 3);
        var w4 = At(w, panelBytes, 4);
        var w5 = At(w, panelBytes, 5);
        var w6 = At(w, panelBytes, 6);
        var w7 = At(w, panelBytes, 7);
        TVector y0a = TUnit.Zero, y0b = TUnit.Zero, y0c = TUnit.Zero, y0d = TUnit.Zero;
        TVector y0e = TUnit.Zero, y0f = TUnit.Zero, y0g = TUnit.Zero, y0h = TUnit.Zero;
        if (add)
        {
            y0a = TUnit.Load(y);
            y0b = TUnit.Load(y + TUnit.Width);
            y0c = TUnit.Load(y + 2 * TUnit.Width);
            y0d = TUnit.Load(y + 3 * TUnit.Width);
            y0e = TUnit.Load(y + 4 * TUnit.Width);
            y0f = TUnit.Load(y + 5 * TUnit.Width);
            y0g = TUnit.Load(y + 6 * TUnit.Width);
            y0h = TUnit.Load(y + 7 * TUnit.Width);
        }
        var end = (long)pairs * TFormat.PairBytes;
        for (var at = 0L; at < end; at += TFormat.PairBytes)
        {
            CacheLine.Prefetch(w0 + at);
            CacheLine.Prefetch(w1 + at);
            CacheLine.Prefetch(w2 + at);
            CacheLine.Prefetch(w3 + at);
            CacheLine.Prefetch(w4 + at);
            CacheLine.Prefetch(w5 + at);
            CacheLine.Prefetch(w6 + at);
            CacheLine.Prefetch(w7 + at);
            var x00 = TUnit.Broadcast(x[0]);
            y0a = TUnit.MultiplyAdd(TFormat.First<TUnit, TVector>(w0 + at), x00, y0a);
            y0b = TUnit.MultiplyAdd(TFormat.First<TUnit, TVector>(w1 + at), x00, y0b);
            y0c = TUnit.MultiplyAdd(TFormat.First<TUnit, TVector>(w2 + at), x00, y0c);
            y0d = TUnit.MultiplyAdd(TFormat.First<TUnit, TVector>(w3 + at), x00, y0d);
            y0e = TUnit.MultiplyAdd(TFormat.First<TUnit, TVector>(w4 + at), x00, y0e);
            y0f = TUnit.MultiplyAdd(TFormat.First<TUnit, TVector>(w5 + at), x00, y0f);
            y0g = TUnit.MultiplyAdd(TFormat.First<TUnit, TVector>(w6 + at), x00, y0g);
            y0h = TUnit.MultiplyAdd(TFormat.First<TUnit, TVector>(w7 + at), x00, y0h);
            var x10 = TUnit.Broadcast(x[1]);
            y0a = TUnit.MultiplyAdd(TFormat.Second<TUnit, TVector>(w0 + at), x10, y0a);
            y0b = TUnit.MultiplyAdd(TFormat.Second<TUnit, TVector>(w1 + at), x10, y0b);
            y0c = TUnit.MultiplyAdd(TFormat.Second<TUnit, TVector>(w2 + at), x10, y0c);
            y0d = TUnit.MultiplyAdd(TFormat.Second<TUnit, TVector>(w3 + at), x10, y0d);
            y0e = TUnit.MultiplyAdd(TFormat.Second<TUnit, TVector>(w4 + at), x10, y0e);
            y0f = TUnit.MultiplyAdd(TFormat.Second<TUnit, TVector>(w5 + at), x10, y0f);
            y0g = TUnit.MultiplyAdd(TFormat.Second<TUnit, TVector>(w6 + at), x10, y0g);
            y0h = TUnit.MultiplyAdd(TFormat.Second<TUnit, TVector>(w7 + at), x10, y0h);
            x += 2;
        }
        TUnit.Store(y0a, y);
        TUnit.Store(y0b, y + TUnit.Width);
        TUnit.Store(y0c, y + 2 * TUnit.Width);
        TUnit.Store(y0d, y + 3 * TUnit.Width);
        TUnit.Store(y0e, y + 4 * TUnit.Width);
        TUnit.Store(y0f, y + 5 * TUnit.Width);
        TUnit.Store(y0g, y + 6 * TUnit.Width);
        TUnit.Store(y0h, y + 7 * TUnit.Width);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows1Vectors4(byte* w, long panelBytes, float* x, int pairs, float* y, long stride, bool add)
    {
        var w0 = At(w, panelBytes, 0);
        var w1 = At(w, panelBytes, 1);
        var w2 = At(w, panelBytes, 2);
        var w3 = At(w, panelBytes, 3);
        TVector y0a = TUnit.Zero, y0b = TUnit.Zero, y0c = TUnit.Zero, y0d = TUnit.Zero;
        if (add)
        {
            y0a = TUnit.Load(y);
            y0b = TUnit.Load(y + TUnit.Width);
            y0c = TUnit.Load(y + 2 * TUnit.Width);
            y0d = TUnit.Load(y + 3 * TUnit.Width);
        }
        var end = (long)pairs * TFormat.PairBytes;
        for (var at = 0L; at < end; at += TFormat.PairBytes)
        {
            CacheLine.Prefetch(w0 + at);
            CacheLine.Prefetch(w1 + at);
            CacheLine.Prefetch(w2 + at);
            CacheLine.Prefetch(w3 + at);
            var x00 = TUnit.Broadcast(x[0]);
            y0a = TUnit.MultiplyAdd(TFormat.First<TUnit, TVector>(w0 + at), x00, y0a);
            y0b = TUnit.MultiplyAdd(TFormat.First<TUnit, TVector>(w1 + at), x00, y0b);
            y0c = TUnit.MultiplyAdd(TFormat.First<TUnit, TVector>(w2 + at), x00, y0c);
            y0d = TUnit.MultiplyAdd(TFormat.First<TUnit, TVector>(w3 + at), x00, y0d);
            var x10 = TUnit.Broadcast(x[1]);
            y0a = TUnit.MultiplyAdd(TFormat.Second<TUnit, TVector>(w0 + at), x10, y0a);
            y0b = TUnit.MultiplyAdd(TFormat.Second<TUnit, TVector>(w1 + at), x10, y0b);
            y0c = TUnit.MultiplyAdd(TFormat.Second<TUnit, TVector>(w2 + at), x10, y0c);
            y0d = TUnit.MultiplyAdd(TFormat.Second<TUnit, TVector>(w3 + at), x10, y0d);
            x += 2;
        }
        TUnit.Store(y0a, y);
        TUnit.Store(y0b, y + TUnit.Width);
        TUnit.Store(y0c, y + 2 * TUnit.Width);
        TUnit.Store(y0d, y + 3 * TUnit.Width);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows1Vectors2(byte* w, long panelBytes, float* x, int pairs, float* y, long stride, bool add)
    {
        var w0 = At(w, panelBytes, 0);
        var w1 = At(w, panelBytes, 1);
        TVector y0a = TUnit.Zero, y0b = TUnit.Zero;
        if (add)
        {
            y0a = TUnit.Load(y);
            y0b = TUnit.Load(y + TUnit.Width);
        }
        var end = (long)pairs * TFormat.PairBytes;
        for (var at = 0L; at < end; at += TFormat.PairBytes)
        {
            CacheLine.Prefetch(w0 + at);
            CacheLine.Prefetch(w1 + at);
            var x00 = TUnit.Broadcast(x[0]);
            y0a = TUnit.MultiplyAdd(TFormat.First<TUnit, TVector>(w0 + at), x00, y0a);
            y0b = TUnit.MultiplyAdd(TFormat.First<TUnit, TVector>(w1 + at), x00, y0b);
            var x10 = TUnit.Broadcast(x[1]);
            y0a = TUnit.MultiplyAdd(TFormat.Second<TUnit, TVector>(w0 + at), x10, y0a);
            y0b = TUnit.MultiplyAdd(TFormat.Second<TUnit, TVector>(w1 + at), x10, y0b);
            x += 2;
        }
        TUnit.Store(y0a, y);
        TUnit.Store(y0b, y + TUnit.Width);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows2Vectors4(byte* w, long panelBytes, float* x, int pairs, float* y, long stride, bool add)
    {
        var w0 = At(w, panelBytes, 0);
        var w1 = At(w, panelBytes, 1);
        var w2 = At(w, panelBytes, 2);
        var w3 = At(w, panelBytes, 3);
        TVector y0a = TUnit.Zero, y0b = TUnit.Zero, y0c = TUnit.Zero, y0d = TUnit.Zero;
        TVector y1a = TUnit.Zero, y1b = TUnit.Zero, y1c = TUnit.Zero, y1d = TUnit.Zero;
        if (add)
        {
            y0a = TUnit.Load(y);
            y0b = TUnit.Load(y + TUnit.Width);
            y0c = TUnit.Load(y + 2 * TUnit.Width);
            y0d = TUnit.Load(y + 3 * TUnit.Width);
            y1a = TUnit.Load(y + stride);
            y1b = TUnit.Load(y + stride + TUnit.Width);
            y1c = TUnit.Load(y + stride + 2 * TUnit.Width);
            y1d = TUnit.Load(y + stride + 3 * TUnit.Width);
        }
        var end = (long)pairs * TFormat.PairBytes;
        for (var at = 0L; at < end; at += TFormat.PairBytes)
        {
            CacheLine.Prefetch(w0 + at);
            CacheLine.Prefetch(w1 + at);
            CacheLine.Prefetch(w2 + at);
            CacheLine.Prefetch(w3 + at);
            var a0 = TFormat.First<TUnit, TVector>(w0 + at);
            var a1 = TFormat.First<TUnit, TVector>(w1 + at);
            var a2 = TFormat.First<TUnit, TVector>(w2 + at);
            var a3 = TFormat.First<TUnit, TVector>(w3 + at);
            var x00 = TUnit.Broadcast(x[0]);
            y0a = TUnit.MultiplyAdd(a0, x00, y0a);
            y0b = TUnit.MultiplyAdd(a1, x00, y0b);
            y0c = TUnit.MultiplyAdd(a2, x00, y0c);
            y0d = TUnit.MultiplyAdd(a3, x00, y0d);
            var x01 = TUnit.Broadcast(x[1]);
            y1a = TUnit.MultiplyAdd(a0, x01, y1a);
            y1b = TUnit.MultiplyAdd(a1, x01, y1b);
            y1c = TUnit.MultiplyAdd(a2, x01, y1c);
            y1d = TUnit.MultiplyAdd(a3, x01, y1d);
            var b0 = TFormat.Second<TUnit, TVector>(w0 + at);
            var b1 = TFormat.Second<TUnit, TVector>(w1 + at);
            var b2 = TFormat.Second<TUnit, TVector>(w2 + at);
            var b3 = TFormat.Second<TUnit, TVector>(w3 + at);
            var x10 = TUnit.Broadcast(x[2]);
            y0a = TUnit.MultiplyAdd(b0, x10, y0a);
            y0b = TUnit.MultiplyAdd(b1, x10, y0b);
            y0c = TUnit.MultiplyAdd(b2, x10, y0c);
            y0d = TUnit.MultiplyAdd(b3, x10, y0d);
            var x11 = TUnit.Broadcast(x[3]);
            y1a = TUnit.MultiplyAdd(b0, x11, y1a);
            y1b = TUnit.MultiplyAdd(b1, x11, y1b);
            y1c = TUnit.MultiplyAdd(b2, x11, y1c);
            y1d = TUnit.MultiplyAdd(b3, x11, y1d);
            x += 4;
        }
        TUnit.Store(y0a, y);
        TUnit.Store(y0b, y + TUnit.Width);
        TUnit.Store(y0c, y + 2 * TUnit.Width);
        TUnit.Store(y0d, y + 3 * TUnit.Width);
        TUnit.Store(y1a, y + stride);
        TUnit.Store(y1b, y + stride + TUnit.Width);
        TUnit.Store(y1c, y + stride + 2 * TUnit.Width);
        TUnit.Store(y1d, y + stride + 3 * TUnit.Width);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows2Vectors2(byte* w, long panelBytes, float* x, int pairs, float* y, long stride, bool add)
    {
        var w0 = At(w, panelBytes, 0);
        var w1 = At(w, panelBytes, 1);
        TVector y0a = TUnit.Zero, y0b = TUnit.Zero;
        TVector y1a = TUnit.Zero, y1b = TUnit.Zero;
        if (add)
        {
            y0a = TUnit.Load(y);
            y0b = TUnit.Load(y + TUnit.Width);
            y1a = TUnit.Load(y + stride);
            y1b = TUnit.Load(y + stride + TUnit.Width);
        }
        var end = (long)pairs * TFormat.PairBytes;
        for (var at = 0L; at < end; at += TFormat.PairBytes)
        {
            CacheLine.Prefetch(w0 + at);
            CacheLine.Prefetch(w1 + at);
            var a0 = TFormat.First<TUnit, TVector>(w0 + at);
            var a1 = TFormat.First<TUnit, TVector>(w1 + at);
            var x00 = TUnit.Broadcast(x[0]);
            y0a = TUnit.MultiplyAdd(a0, x00, y0a);
            y0b = TUnit.MultiplyAdd(a1, x00, y0b);
            var x01 = TUnit.Broadcast(x[1]);
            y1a = TUnit.MultiplyAdd(a0, x01, y1a);
            y1b = TUnit.MultiplyAdd(a1, x01, y1b);
            var b0 = TFormat.Second<TUnit, TVector>(w0 + at);
            var b1 = TFormat.Second<TUnit, TVector>(w1 + at);
            var x10 = TUnit.Broadcast(x[2]);
            y0a = TUnit.MultiplyAdd(b0, x10, y0a);
            y0b = TUnit.MultiplyAdd(b1, x10, y0b);
            var x11 = TUnit.Broadcast(x[3]);
            y1a = TUnit.MultiplyAdd(b0, x11, y1a);
            y1b = TUnit.MultiplyAdd(b1, x11, y1b);
            x += 4;
        }
        TUnit.Store(y0a, y);
        TUnit.Store(y0b, y + TUnit.Width);
        TUnit.Store(y1a, y + stride);
        TUnit.Store(y1b, y + stride + TUnit.Width);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows3Vectors2(byte* w, long panelBytes, float* x, int pairs, float* y, long stride, bool add)
    {
        var w0 = At(w, panelBytes, 0);
        var w1 = At(w, panelBytes, 1);
        TVector y0a = TUnit.Zero, y0b = TUnit.Zero;
        TVector y1a = TUnit.Zero, y1b = TUnit.Zero;
        TVector y2a = TUnit.Zero, y2b = TUnit.Zero;
        if (add)
        {
            y0a = TUnit.Load(y);
            y0b = TUnit.Load(y + TUnit.Width);
            y1a = TUnit.Load(y + stride);
            y1b = TUnit.Load(y + stride + TUnit.Width);
            y2a = TUnit.Load(y + 2 * stride);
            y2b = TUnit.Load(y + 2 * stride + TUnit.Width);
        }
        var end = (long)pairs * TFormat.PairBytes;
        for (var at = 0L; at < end; at += TFormat.PairBytes)
        {
            CacheLine.Prefetch(w0 + at);
            CacheLine.Prefetch(w1 + at);
            var a0 = TFormat.First<TUnit, TVector>(w0 + at);
            var a1 = TFormat.First<TUnit, TVector>(w1 + at);
            var x00 = TUnit.Broadcast(x[0]);
            y0a = TUnit.MultiplyAdd(a0, x00, y0a);
            y0b = TUnit.MultiplyAdd(a1, x00, y0b);
            var x01 = TUnit.Broadcast(x[1]);
            y1a = TUnit.MultiplyAdd(a0, x01, y1a);
            y1b = TUnit.MultiplyAdd(a1, x01, y1b);
            var x02 = TUnit.Broadcast(x[2]);
            y2a = TUnit.MultiplyAdd(a0, x02, y2a);
            y2b = TUnit.MultiplyAdd(a1, x02, y2b);
            var b0 = TFormat.Second<TUnit, TVector>(w0 + at);
            var b1 = TFormat.Second<TUnit, TVector>(w1 + at);
            var x10 = TUnit.Broadcast(x[3]);
            y0a = TUnit.MultiplyAdd(b0, x10, y0a);
            y0b = TUnit.MultiplyAdd(b1, x10, y0b);
            var x11 = TUnit.Broadcast(x[4]);
            y1a = TUnit.MultiplyAdd(b0, x11, y1a);
            y1b = TUnit.MultiplyAdd(b1, x11, y1b);
            var x12 = TUnit.Broadcast(x[5]);
            y2a = TUnit.MultiplyAdd(b0, x12, y2a);
            y2b = TUnit.MultiplyAdd(b1, x12, y2b);
            x += 6;
        }
        TUnit.Store(y0a, y);
        TUnit.Store(y0b, y + TUnit.Width);
        TUnit.Store(y1a, y + stride);
        TUnit.Store(y1b, y + stride + TUnit.Width);
        TUnit.Store(y2a, y + 2 * stride);
        TUnit.Store(y2b, y + 2 * stride + TUnit.Width);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows4Vectors2(byte* w, long panelBytes, float* x, int pairs, float* y, long stride, bool add)
    {
        var w0 = At(w, panelBytes, 0);
        var w1 = At(w, panelBytes, 1);
        TVector y0a = TUnit.Zero, y0b = TUnit.Zero;
        TVector y1a = TUnit.Zero, y1b = TUnit.Zero;
        TVector y2a = TUnit.Zero, y2b = TUnit.Zero;
        TVector y3a = TUnit.Zero, y3b = TUnit.Zero;
        if (add)
        {
            y0a = TUnit.Load(y);
            y0b = TUnit.Load(y + TUnit.Width);
            y1a = TUnit.Load(y + stride);
            y1b = TUnit.Load(y + stride + TUnit.Width);
            y2a = TUnit.Load(y + 2 * stride);
            y2b = TUnit.Load(y + 2 * stride + TUnit.Width);
            y3a = TUnit.Load(y + 3 * stride);
            y3b = TUnit.Load(y + 3 * stride + TUnit.Width);
        }
        var end = (long)pairs * TFormat.PairBytes;
        for (var at = 0L; at < end; at += TFormat.PairBytes)
        {
            CacheLine.Prefetch(w0 + at);
            CacheLine.Prefetch(w1 + at);
            var a0 = TFormat.First<TUnit, TVector>(w0 + at);
            var a1 = TFormat.First<TUnit, TVector>(w1 + at);
            var x00 = TUnit.Broadcast(x[0]);
            y0a = TUnit.MultiplyAdd(a0, x00, y0a);
            y0b = TUnit.MultiplyAdd(a1, x00, y0b);
            var x01 = TUnit.Broadcast(x[1]);
            y1a = TUnit.MultiplyAdd(a0, x01, y1a);
            y1b = TUnit.MultiplyAdd(a1, x01, y1b);
            var x02 = TUnit.Broadcast(x[2]);
            y2a = TUnit.MultiplyAdd(a0, x02, y2a);
            y2b = TUnit.MultiplyAdd(a1, x02, y2b);
            var x03 = TUnit.Broadcast(x[3]);
            y3a = TUnit.MultiplyAdd(a0, x03, y3a);
            y3b = TUnit.MultiplyAdd(a1, x03, y3b);
            var b0 = TFormat.Second<TUnit, TVector>(w0 + at);
            var b1 = TFormat.Second<TUnit, TVector>(w1 + at);
            var x10 = TUnit.Broadcast(x[4]);
            y0a = TUnit.MultiplyAdd(b0, x10, y0a);
            y0b = TUnit.MultiplyAdd(b1, x10, y0b);
            var x11 = TUnit.Broadcast(x[5]);
            y1a = TUnit.MultiplyAdd(b0, x11, y1a);
            y1b = TUnit.MultiplyAdd(b1, x11, y1b);
            var x12 = TUnit.Broadcast(x[6]);
            y2a = TUnit.MultiplyAdd(b0, x12, y2a);
            y2b = TUnit.MultiplyAdd(b1, x12, y2b);
            var x13 = TUnit.Broadcast(x[7]);
            y3a = TUnit.MultiplyAdd(b0, x13, y3a);
            y3b = TUnit.MultiplyAdd(b1, x13, y3b);
            x += 8;
        }
        TUnit.Store(y0a, y);
        TUnit.Store(y0b, y + TUnit.Width);
        TUnit.Store(y1a, y + stride);
        TUnit.Store(y1b, y + stride + TUnit.Width);
        TUnit.Store(y2a, y + 2 * stride);
        TUnit.Store(y2b, y + 2 * stride + TUnit.Width);
        TUnit.Store(y3a, y + 3 * stride);
        TUnit.Store(y3b, y + 3 * stride + TUnit.Width);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows5Vectors2(byte* w, long panelBytes, float* x, int pairs, float* y, long stride, bool add)
    {
        var w0 = At(w, panelBytes, 0);
        var w1 = At(w, panelBytes, 1);
        TVector y0a = TUnit.Zero, y0b = TUnit.Zero;
        TVector y1a = TUnit.Zero, y1b = TUnit.Zero;
        TVector y2a = TUnit.Zero, y2b = TUnit.Zero;
        TVector y3a = TUnit.Zero, y3b = TUnit.Zero;
        TVector y4a = TUnit.Zero, y4b = TUnit.Zero;
        if (add)
        {
            y0a = TUnit.Load(y);
            y0b = TUnit.Load(y + TUnit.Width);
            y1a = TUnit.Load(y + stride);
            y1b = TUnit.Load(y + stride + TUnit.Width);
            y2a = TUnit.Load(y + 2 * stride);
            y2b = TUnit.Load(y + 2 * stride + TUnit.Width);
            y3a = TUnit.Load(y + 3 * stride);
            y3b = TUnit.Load(y + 3 * stride + TUnit.Width);
            y4a = TUnit.Load(y + 4 * stride);
            y4b = TUnit.Load(y + 4 * stride + TUnit.Width);
        }
        var end = (long)pairs * TFormat.PairBytes;
        for (var at = 0L; at < end; at += TFormat.PairBytes)
        {
            CacheLine.Prefetch(w0 + at);
            CacheLine.Prefetch(w1 + at);
            var a0 = TFormat.First<TUnit, TVector>(w0 + at);
            var a1 = TFormat.First<TUnit, TVector>(w1 + at);
            var x00 = TUnit.Broadcast(x[0]);
            y0a = TUnit.MultiplyAdd(a0, x00, y0a);
            y0b = TUnit.MultiplyAdd(a1, x00, y0b);
            var x01 = TUnit.Broadcast(x[1]);
            y1a = TUnit.MultiplyAdd(a0, x01, y1a);
            y1b = TUnit.MultiplyAdd(a1, x01, y1b);
            var x02 = TUnit.Broadcast(x[2]);
            y2a = TUnit.MultiplyAdd(a0, x02, y2a);
            y2b = TUnit.MultiplyAdd(a1, x02, y2b);
            var x03 = TUnit.Broadcast(x[3]);
            y3a = TUnit.MultiplyAdd(a0, x03, y3a);
            y3b = TUnit.MultiplyAdd(a1, x03, y3b);
            var x04 = TUnit.Broadcast(x[4]);
            y4a = TUnit.MultiplyAdd(a0, x04, y4a);
            y4b = TUnit.MultiplyAdd(a1, x04, y4b);
            var b0 = TFormat.Second<TUnit, TVector>(w0 + at);
            var b1 = TFormat.Second<TUnit, TVector>(w1 + at);
            var x10 = TUnit.Broadcast(x[5]);
            y0a = TUnit.MultiplyAdd(b0, x10, y0a);
            y0b = TUnit.MultiplyAdd(b1, x10, y0b);
            var x11 = TUnit.Broadcast(x[6]);
            y1a = TUnit.MultiplyAdd(b0, x11, y1a);
            y1b = TUnit.MultiplyAdd(b1, x11, y1b);
            var x12 = TUnit.Broadcast(x[7]);
            y2a = TUnit.MultiplyAdd(b0, x12, y2a);
            y2b = TUnit.MultiplyAdd(b1, x12, y2b);
            var x13 = TUnit.Broadcast(x[8]);
            y3a = TUnit.MultiplyAdd(b0, x13, y3a);
            y3b = TUnit.MultiplyAdd(b1, x13, y3b);
            var x14 = TUnit.Broadcast(x[9]);
            y4a = TUnit.MultiplyAdd(b0, x14, y4a);
            y4b = TUnit.MultiplyAdd(b1, x14, y4b);
            x += 10;
        }
        TUnit.Store(y0a, y);
        TUnit.Store(y0b, y + TUnit.Width);
        TUnit.Store(y1a, y + stride);
        TUnit.Store(y1b, y + stride + TUnit.Width);
        TUnit.Store(y2a, y + 2 * stride);
        TUnit.Store(y2b, y + 2 * stride + TUnit.Width);
        TUnit.Store(y3a, y + 3 * stride);
        TUnit.Store(y3b, y + 3 * stride + TUnit.Width);
        TUnit.Store(y4a, y + 4 * stride);
        TUnit.Store(y4b, y + 4 * stride + TUnit.Width);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows6Vectors2(byte* w, long panelBytes, float* x, int pairs, float* y, long stride, bool add)
    {
        var w0 = At(w, panelBytes, 0);
        var w1 = At(w, panelBytes, 1);
        TVector y0a = TUnit.Zero, y0b = TUnit.Zero;
        TVector y1a = TUnit.Zero, y1b = TUnit.Zero;
        TVector y2a = TUnit.Zero, y2b = TUnit.Zero;
        TVector y3a = TUnit.Zero, y3b = TUnit.Zero;
        TVector y4a = TUnit.Zero, y4b = TUnit.Zero;
        TVector y5a = TUnit.Zero, y5b = TUnit.Zero;
        if (add)
        {
            y0a = TUnit.Load(y);
            y0b = TUnit.Load(y + TUnit.Width);
            y1a = TUnit.Load(y + stride);
            y1b = TUnit.Load(y + stride + TUnit.Width);
            y2a = TUnit.Load(y + 2 * stride);
            y2b = TUnit.Load(y + 2 * stride + TUnit.Width);
            y3a = TUnit.Load(y + 3 * stride);
            y3b = TUnit.Load(y + 3 * stride + TUnit.Width);
            y4a = TUnit.Load(y + 4 * stride);
            y4b = TUnit.Load(y + 4 * stride + TUnit.Width);
            y5a = TUnit.Load(y + 5 * stride);
            y5b = TUnit.Load(y + 5 * stride + TUnit.Width);
        }
        var end = (long)pairs * TFormat.PairBytes;
        for (var at = 0L; at < end; at += TFormat.PairBytes)
        {
            CacheLine.Prefetch(w0 + at);
            CacheLine.Prefetch(w1 + at);
            var a0 = TFormat.First<TUnit, TVector>(w0 + at);
            var a1 = TFormat.First<TUnit, TVector>(w1 + at);
            var x00 = TUnit.Broadcast(x[0]);
            y0a = TUnit.MultiplyAdd(a0, x00, y0a);
            y0b = TUnit.MultiplyAdd(a1, x00, y0b);
            var x01 = TUnit.Broadcast(x[1]);
            y1a = TUnit.MultiplyAdd(a0, x01, y1a);
            y1b = TUnit.MultiplyAdd(a1, x01, y1b);
            var x02 = TUnit.Broadcast(x[2]);
            y2a = TUnit.MultiplyAdd(a0, x02, y2a);
            y2b = TUnit.MultiplyAdd(a1, x02, y2b);
            var x03 = TUnit.Broadcast(x[3]);
            y3a = TUnit.MultiplyAdd(a0, x03, y3a);
            y3b = TUnit.MultiplyAdd(a1, x03, y3b);
            var x04 = TUnit.Broadcast(x[4]);
            y4a = TUnit.MultiplyAdd(a0, x04, y4a);
            y4b = TUnit.MultiplyAdd(a1, x04, y4b);
            var x05 = TUnit.Broadcast(x[5]);
            y5a = TUnit.MultiplyAdd(a0, x05, y5a);
            y5b = TUnit.MultiplyAdd(a1, x05, y5b);
            var b0 = TFormat.Second<TUnit, TVector>(w0 + at);
            var b1 = TFormat.Second<TUnit, TVector>(w1 + at);
            var x10 = TUnit.Broadcast(x[6]);
            y0a = TUnit.MultiplyAdd(b0, x10, y0a);
            y0b = TUnit.MultiplyAdd(b1, x10, y0b);
            var x11 = TUnit.Broadcast(x[7]);
            y1a = TUnit.MultiplyAdd(b0, x11, y1a);
            y1b = TUnit.MultiplyAdd(b1, x11, y1b);
            var x12 = TUnit.Broadcast(x[8]);
            y2a = TUnit.MultiplyAdd(b0, x12, y2a);
            y2b = TUnit.MultiplyAdd(b1, x12, y2b);
            var x13 = TUnit.Broadcast(x[9]);
            y3a = TUnit.MultiplyAdd(b0, x13, y3a);
            y3b = TUnit.MultiplyAdd(b1, x13, y3b);
            var x14 = TUnit.Broadcast(x[10]);
            y4a = TUnit.MultiplyAdd(b0, x14, y4a);
            y4b = TUnit.MultiplyAdd(b1, x14, y4b);
            var x15 = TUnit.Broadcast(x[11]);
            y5a = TUnit.MultiplyAdd(b0, x15, y5a);
            y5b = TUnit.MultiplyAdd(b1, x15, y5b);
            x += 12;
        }
        TUnit.Store(y0a, y);
        TUnit.Store(y0b, y + TUnit.Width);
        TUnit.Store(y1a, y + stride);
        TUnit.Store(y1b, y + stride + TUnit.Width);
        TUnit.Store(y2a, y + 2 * stride);
        TUnit.Store(y2b, y + 2 * stride + TUnit.Width);
        TUnit.Store(y3a, y + 3 * stride);
        TUnit.Store(y3b, y + 3 * stride + TUnit.Width);
        TUnit.Store(y4a, y + 4 * stride);
        TUnit.Store(y4b, y + 4 * stride + TUnit.Width);
        TUnit.Store(y5a, y + 5 * stride);
        TUnit.Store(y5b, y + 5 * stride + TUnit.Width);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows7Vectors2(byte* w, long panelBytes, float* x, int pairs, float* y, long stride, bool add)
    {
        var w0 = At(w, panelBytes, 0);
        var w1 = At(w, panelBytes, 1);
        TVector y0a = TUnit.Zero, y0b = TUnit.Zero;
        TVector y1a = TUnit.Zero, y1b = TUnit.Zero;
        TVector y2a = TUnit.Zero, y2b = TUnit.Zero;
        TVector y3a = TUnit.Zero, y3b = TUnit.Zero;
        TVector y4a = TUnit.Zero, y4b = TUnit.Zero;
        TVector y5a = TUnit.Zero, y5b = TUnit.Zero;
        TVector y6a = TUnit.Zero, y6b = TUnit.Zero;
        if (add)
        {
            y0a = TUnit.Load(y);
            y0b = TUnit.Load(y + TUnit.Width);
            y1a = TUnit.Load(y + stride);
            y1b = TUnit.Load(y + stride + TUnit.Width);
            y2a = TUnit.Load(y + 2 * stride);
            y2b = TUnit.Load(y + 2 * stride + TUnit.Width);
            y3a = TUnit.Load(y + 3 * stride);
            y3b = TUnit.Load(y + 3 * stride + TUnit.Width);
            y4a = TUnit.Load(y + 4 * stride);
            y4b = TUnit.Load(y + 4 * stride + TUnit.Width);
            y5a = TUnit.Load(y + 5 * stride);
            y5b = TUnit.Load(y + 5 * stride + TUnit.Width);
            y6a = TUnit.Load(y + 6 * stride);
            y6b = TUnit.Load(y + 6 * stride + TUnit.Width);
        }
        var end = (long)pairs * TFormat.PairBytes;
        for (var at = 0L; at < end; at += TFormat.PairBytes)
        {
            CacheLine.Prefetch(w0 + at);
            CacheLine.Prefetch(w1 + at);
            var a0 = TFormat.First<TUnit, TVector>(w0 + at);
            var a1 = TFormat.First<TUnit, TVector>(w1 + at);
            var x00 = TUnit.Broadcast(x[0]);
            y0a = TUnit.MultiplyAdd(a0, x00, y0a);
            y0b = TUnit.MultiplyAdd(a1, x00, y0b);
            var x01 = TUnit.Broadcast(x[1]);
            y1a = TUnit.MultiplyAdd(a0, x01, y1a);
            y1b = TUnit.MultiplyAdd(a1, x01, y1b);
            var x02 = TUnit.Broadcast(x[2]);
            y2a = TUnit.MultiplyAdd(a0, x02, y2a);
            y2b = TUnit.MultiplyAdd(a1, x02, y2b);
            var x03 = TUnit.Broadcast(x[3]);
            y3a = TUnit.MultiplyAdd(a0, x03, y3a);
            y3b = TUnit.MultiplyAdd(a1, x03, y3b);
            var x04 = TUnit.Broadcast(x[4]);
            y4a = TUnit.MultiplyAdd(a0, x04, y4a);
            y4b = TUnit.MultiplyAdd(a1, x04, y4b);
            var x05 = TUnit.Broadcast(x[5]);
            y5a = TUnit.MultiplyAdd(a0, x05, y5a);
            y5b = TUnit.MultiplyAdd(a1, x05, y5b);
            var x06 = TUnit.Broadcast(x[6]);
            y6a = TUnit.MultiplyAdd(a0, x06, y6a);
            y6b = TUnit.MultiplyAdd(a1, x06, y6b);
            var b0 = TFormat.Second<TUnit, TVector>(w0 + at);
            var b1 = TFormat.Second<TUnit, TVector>(w1 + at);
            var x10 = TUnit.Broadcast(x[7]);
            y0a = TUnit.MultiplyAdd(b0, x10, y0a);
            y0b = TUnit.MultiplyAdd(b1, x10, y0b);
            var x11 = TUnit.Broadcast(x[8]);
            y1a = TUnit.MultiplyAdd(b0, x11, y1a);
            y1b = TUnit.MultiplyAdd(b1, x11, y1b);
            var x12 = TUnit.Broadcast(x[9]);
            y2a = TUnit.MultiplyAdd(b0, x12, y2a);
            y2b = TUnit.MultiplyAdd(b1, x12, y2b);
            var x13 = TUnit.Broadcast(x[10]);
            y3a = TUnit.MultiplyAdd(b0, x13, y3a);
            y3b = TUnit.MultiplyAdd(b1, x13, y3b);
            var x14 = TUnit.Broadcast(x[11]);
            y4a = TUnit.MultiplyAdd(b0, x14, y4a);
            y4b = TUnit.MultiplyAdd(b1, x14, y4b);
            var x15 = TUnit.Broadcast(x[12]);
            y5a = TUnit.MultiplyAdd(b0, x15, y5a);
            y5b = TUnit.MultiplyAdd(b1, x15, y5b);
            var x16 = TUnit.Broadcast(x[13]);
            y6a = TUnit.MultiplyAdd(b0, x16, y6a);
            y6b = TUnit.MultiplyAdd(b1, x16, y6b);
            x += 14;
        }
        TUnit.Store(y0a, y);
        TUnit.Store(y0b, y + TUnit.Width);
        TUnit.Store(y1a, y + stride);
        TUnit.Store(y1b, y + stride + TUnit.Width);
        TUnit.Store(y2a, y + 2 * stride);
        TUnit.Store(y2b, y + 2 * stride + TUnit.Width);
        TUnit.Store(y3a, y + 3 * stride);
        TUnit.Store(y3b, y + 3 * stride + TUnit.Width);
        TUnit.Store(y4a, y + 4 * stride);
        TUnit.Store(y4b, y + 4 * stride + TUnit.Width);
        TUnit.Store(y5a, y + 5 * stride);
        TUnit.Store(y5b, y + 5 * stride + TUnit.Width);
        TUnit.Store(y6a, y + 6 * stride);
        TUnit.Store(y6b, y + 6 * stride + TUnit.Width);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows8Vectors2(byte* w, long panelBytes, float* x, int pairs, float* y, long stride, bool add)
    {
        var w0 = At(w, panelBytes, 0);
        var w1 = At(w, panelBytes, 1);
        TVector y0a = TUnit.Zero, y0b = TUnit.Zero;
        TVector y1a = TUnit.Zero, y1b = TUnit.Zero;
        TVector y2a = TUnit.Zero, y2b = TUnit.Zero;
        TVector y3a = TUnit.Zero, y3b = TUnit.Zero;
        TVector y4a = TUnit.Zero, y4b = TUnit.Zero;
        TVector y5a = TUnit.Zero, y5b = TUnit.Zero;
        TVector y6a = TUnit.Zero, y6b = TUnit.Zero;
        TVector y7a = TUnit.Zero, y7b = TUnit.Zero;
        if (add)
        {
            y0a = TUnit.Load(y);
            y0b = TUnit.Load(y + TUnit.Width);
            y1a = TUnit.Load(y + stride);
            y1b = TUnit.Load(y + stride + TUnit.Width);
            y2a = TUnit.Load(y + 2 * stride);
            y2b = TUnit.Load(y + 2 * stride + TUnit.Width);
            y3a = TUnit.Load(y + 3 * stride);
            y3b = TUnit.Load(y + 3 * stride + TUnit.Width);
            y4a = TUnit.Load(y + 4 * stride);
            y4b = TUnit.Load(y + 4 * stride + TUnit.Width);
            y5a = TUnit.Load(y + 5 * stride);
            y5b = TUnit.Load(y + 5 * stride + TUnit.Width);
            y6a = TUnit.Load(y + 6 * stride);
            y6b = TUnit.Load(y + 6 * stride + TUnit.Width);
            y7a = TUnit.Load(y + 7 * stride);
            y7b = TUnit.Load(y + 7 * stride + TUnit.Width);
        }
        var end = (long)pairs * TFormat.PairBytes;
        for (var at = 0L; at < end; at += TFormat.PairBytes)
        {
            CacheLine.Prefetch(w0 + at);
            CacheLine.Prefetch(w1 + at);
            var a0 = TFormat.First<TUnit, TVector>(w0 + at);
            var a1 = TFormat.First<TUnit, TVector>(w1 + at);
            var x00 = TUnit.Broadcast(x[0]);
            y0a = TUnit.MultiplyAdd(a0, x00, y0a);
            y0b = TUnit.MultiplyAdd(a1, x00, y0b);
            var x01 = TUnit.Broadcast(x[1]);
            y1a = TUnit.MultiplyAdd(a0, x01, y1a);
            y1b = TUnit.MultiplyAdd(a1, x01, y1b);
            var x02 = TUnit.Broadcast(x[2]);
            y2a = TUnit.MultiplyAdd(a0, x02, y2a);
            y2b = TUnit.MultiplyAdd(a1, x02, y2b);
            var x03 = TUnit.Broadcast(x[3]);
            y3a = TUnit.MultiplyAdd(a0, x03, y3a);
            y3b = TUnit.MultiplyAdd(a1, x03, y3b);
            var x04 = TUnit.Broadcast(x[4]);
            y4a = TUnit.MultiplyAdd(a0, x04, y4a);
            y4b = TUnit.MultiplyAdd(a1, x04, y4b);
            var x05 = TUnit.Broadcast(x[5]);
            y5a = TUnit.MultiplyAdd(a0, x05, y5a);
            y5b = TUnit.MultiplyAdd(a1, x05, y5b);
            var x06 = TUnit.Broadcast(x[6]);
            y6a = TUnit.MultiplyAdd(a0, x06, y6a);
            y6b = TUnit.MultiplyAdd(a1, x06, y6b);
            var x07 = TUnit.Broadcast(x[7]);
            y7a = TUnit.MultiplyAdd(a0, x07, y7a);
            y7b = TUnit.MultiplyAdd(a1, x07, y7b);
            var b0 = TFormat.Second<TUnit, TVector>(w0 + at);
            var b1 = TFormat.Second<TUnit, TVector>(w1 + at);
            var x10 = TUnit.Broadcast(x[8]);
            y0a = TUnit.MultiplyAdd(b0, x10, y0a);
            y0b = TUnit.MultiplyAdd(b1, x10, y0b);
            var x11 = TUnit.Broadcast(x[9]);
            y1a = TUnit.MultiplyAdd(b0, x11, y1a);
            y1b = TUnit.MultiplyAdd(b1, x11, y1b);
            var x12 = TUnit.Broadcast(x[10]);
            y2a = TUnit.MultiplyAdd(b0, x12, y2a);
            y2b = TUnit.MultiplyAdd(b1, x12, y2b);
            var x13 = TUnit.Broadcast(x[11]);
            y3a = TUnit.MultiplyAdd(b0, x13, y3a);
            y3b = TUnit.MultiplyAdd(b1, x13, y3b);
            var x14 = TUnit.Broadcast(x[12]);
            y4a = TUnit.MultiplyAdd(b0, x14, y4a);
            y4b = TUnit.MultiplyAdd(b1, x14, y4b);
            var x15 = TUnit.Broadcast(x[13]);
            y5a = TUnit.MultiplyAdd(b0, x15, y5a);
            y5b = TUnit.MultiplyAdd(b1, x15, y5b);
            var x16 = TUnit.Broadcast(x[14]);
            y6a = TUnit.MultiplyAdd(b0, x16, y6a);
            y6b = TUnit.MultiplyAdd(b1, x16, y6b);
            var x17 = TUnit.Broadcast(x[15]);
            y7a = TUnit.MultiplyAdd(b0, x17, y7a);
            y7b = TUnit.MultiplyAdd(b1, x17, y7b);
            x += 16;
        }
        TUnit.Store(y0a, y);
        TUnit.Store(y0b, y + TUnit.Width);
        TUnit.Store(y1a, y + stride);
        TUnit.Store(y1b, y + stride + TUnit.Width);
        TUnit.Store(y2a, y + 2 * stride);
        TUnit.Store(y2b, y + 2 * stride + TUnit.Width);
        TUnit.Store(y3a, y + 3 * stride);
        TUnit.Store(y3b, y + 3 * stride + TUnit.Width);
        TUnit.Store(y4a, y + 4 * stride);
        TUnit.Store(y4b, y + 4 * stride + TUnit.Width);
        TUnit.Store(y5a, y + 5 * stride);
        TUnit.Store(y5b, y + 5 * stride + TUnit.Width);
        TUnit.Store(y6a, y + 6 * stride);
        TUnit.Store(y6b, y + 6 * stride + TUnit.Width);
        TUnit.Store(y7a, y + 7 * stride);
        TUnit.Store(y7b, y + 7 * stride + TUnit.Width);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows9Vectors2(byte* w, long panelBytes, float* x, int pairs, float* y, long stride, bool add)
    {
        var w0 = At(w, panelBytes, 0);
        var w1 = At(w, panelBytes, 1);
        TVector y0a = TUnit.Zero, y0b = TUnit.Zero;
        TVector y1a = TUnit.Zero, y1b = TUnit.Zero;
        TVector y2a = TUnit.Zero, y2b = TUnit.Zero;
        TVector y3a = TUnit.Zero, y3b = TUnit.Zero;
        TVector y4a = TUnit.Zero, y4b = TUnit.Zero;
        TVector y5a = TUnit.Zero, y5b = TUnit.Zero;
        TVector y6a = TUnit.Zero, y6b = TUnit.Zero;
        TVector y7a = TUnit.Zero, y7b = TUnit.Zero;
        TVector y8a = TUnit.Zero, y8b = TUnit.Zero;
        if (add)
        {
            y0a = TUnit.Load(y);
            y0b = TUnit.Load(y + TUnit.Width);
            y1a = TUnit.Load(y + stride);
            y1b = TUnit.Load(y + stride + TUnit.Width);
            y2a = TUnit.Load(y + 2 * stride);
            y2b = TUnit.Load(y + 2 * stride + TUnit.Width);
            y3a = TUnit.Load(y + 3 * stride);
            y3b = TUnit.Load(y + 3 * stride + TUnit.Width);
            y4a = TUnit.Load(y + 4 * stride);
            y4b = TUnit.Load(y + 4 * stride + TUnit.Width);
            y5a = TUnit.Load(y + 5 * stride);
            y5b = TUnit.Load(y + 5 * stride + TUnit.Width);
            y6a = TUnit.Load(y + 6 * stride);
            y6b = TUnit.Load(y + 6 * stride + TUnit.Width);
            y7a = TUnit.Load(y + 7 * stride);
            y7b = TUnit.Load(y + 7 * stride + TUnit.Width);
            y8a = TUnit.Load(y + 8 * stride);
            y8b = TUnit.Load(y + 8 * stride + TUnit.Width);
        }
        var end = (long)pairs * TFormat.PairBytes;
        for (var at = 0L; at < end; at += TFormat.PairBytes)
        {
            CacheLine.Prefetch(w0 + at);
            CacheLine.Prefetch(w1 + at);
            var a0 = TFormat.First<TUnit, TVector>(w0 + at);
            var a1 = TFormat.First<TUnit, TVector>(w1 + at);
            var x00 = TUnit.Broadcast(x[0]);
            y0a = TUnit.MultiplyAdd(a0, x00, y0a);
            y0b = TUnit.MultiplyAdd(a1, x00, y0b);
            var x01 = TUnit.Broadcast(x[1]);
            y1a = TUnit.MultiplyAdd(a0, x01, y1a);
            y1b = TUnit.MultiplyAdd(a1, x01, y1b);
            var x02 = TUnit.Broadcast(x[2]);
            y2a = TUnit.MultiplyAdd(a0, x02, y2a);
            y2b = TUnit.MultiplyAdd(a1, x02, y2b);
            var x03 = TUnit.Broadcast(x[3]);
            y3a = TUnit.MultiplyAdd(a0, x03, y3a);
            y3b = TUnit.MultiplyAdd(a1, x03, y3b);
            var x04 = TUnit.Broadcast(x[4]);
            y4a = TUnit.MultiplyAdd(a0, x04, y4a);
            y4b = TUnit.MultiplyAdd(a1, x04, y4b);
            var x05 = TUnit.Broadcast(x[5]);
            y5a = TUnit.MultiplyAdd(a0, x05, y5a);
            y5b = TUnit.MultiplyAdd(a1, x05, y5b);
            var x06 = TUnit.Broadcast(x[6]);
            y6a = TUnit.MultiplyAdd(a0, x06, y6a);
            y6b = TUnit.MultiplyAdd(a1, x06, y6b);
            var x07 = TUnit.Broadcast(x[7]);
            y7a = TUnit.MultiplyAdd(a0, x07, y7a);
            y7b = TUnit.MultiplyAdd(a1, x07, y7b);
            var x08 = TUnit.Broadcast(x[8]);
            y8a = TUnit.MultiplyAdd(a0, x08, y8a);
            y8b = TUnit.MultiplyAdd(a1, x08, y8b);
            var b0 = TFormat.Second<TUnit, TVector>(w0 + at);
            var b1 = TFormat.Second<TUnit, TVector>(w1 + at);
            var x10 = TUnit.Broadcast(x[9]);
            y0a = TUnit.MultiplyAdd(b0, x10, y0a);
            y0b = TUnit.MultiplyAdd(b1, x10, y0b);
            var x11 = TUnit.Broadcast(x[10]);
            y1a = TUnit.MultiplyAdd(b0, x11, y1a);
            y1b = TUnit.MultiplyAdd(b1, x11, y1b);
            var x12 = TUnit.Broadcast(x[11]);
            y2a = TUnit.MultiplyAdd(b0, x12, y2a);
            y2b = TUnit.MultiplyAdd(b1, x12, y2b);
            var x13 = TUnit.Broadcast(x[12]);
            y3a = TUnit.MultiplyAdd(b0, x13, y3a);
            y3b = TUnit.MultiplyAdd(b1, x13, y3b);
            var x14 = TUnit.Broadcast(x[13]);
            y4a = TUnit.MultiplyAdd(b0, x14, y4a);
            y4b = TUnit.MultiplyAdd(b1, x14, y4b);
            var x15 = TUnit.Broadcast(x[14]);
            y5a = TUnit.MultiplyAdd(b0, x15, y5a);
            y5b = TUnit.MultiplyAdd(b1, x15, y5b);
            var x16 = TUnit.Broadcast(x[15]);
            y6a = TUnit.MultiplyAdd(b0, x16, y6a);
            y6b = TUnit.MultiplyAdd(b1, x16, y6b);
            var x17 = TUnit.Broadcast(x[16]);
            y7a = TUnit.MultiplyAdd(b0, x17, y7a);
            y7b = TUnit.MultiplyAdd(b1, x17, y7b);
            var x18 = TUnit.Broadcast(x[17]);
            y8a = TUnit.MultiplyAdd(b0, x18, y8a);
            y8b = TUnit.MultiplyAdd(b1, x18, y8b);
            x += 18;
        }
        TUnit.Store(y0a, y);
        TUnit.Store(y0b, y + TUnit.Width);
        TUnit.Store(y1a, y + stride);
        TUnit.Store(y1b, y + stride + TUnit.Width);
        TUnit.Store(y2a, y + 2 * stride);
        TUnit.Store(y2b, y + 2 * stride + TUnit.Width);
        TUnit.Store(y3a, y + 3 * stride);
        TUnit.Store(y3b, y + 3 * stride + TUnit.Width);
        TUnit.Store(y4a, y + 4 * stride);
        TUnit.Store(y4b, y + 4 * stride + TUnit.Width);
        TUnit.Store(y5a, y + 5 * stride);
        TUnit.Store(y5b, y + 5 * stride + TUnit.Width);
        TUnit.Store(y6a, y + 6 * stride);
        TUnit.Store(y6b, y + 6 * stride + TUnit.Width);
        TUnit.Store(y7a, y + 7 * stride);
        TUnit.Store(y7b, y + 7 * stride + TUnit.Width);
        TUnit.Store(y8a, y + 8 * stride);
        TUnit.Store(y8b, y + 8 * stride + TUnit.Width);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows10Vectors2(byte* w, long panelBytes, float* x, int pairs, float* y, long stride, bool add)
    {
        var w0 = At(w, panelBytes, 0);
        var w1 = At(w, panelBytes, 1);
        TVector y0a = TUnit.Zero, y0b = TUnit.Zero;
        TVector y1a = TUnit.Zero, y1b = TUnit.Zero;
        TVector y2a = TUnit.Zero, y2b = TUnit.Zero;
        TVector y3a = TUnit.Zero, y3b = TUnit.Zero;
        TVector y4a = TUnit.Zero, y4b = TUnit.Zero;
        TVector y5a = TUnit.Zero, y5b = TUnit.Zero;
        TVector y6a = TUnit.Zero, y6b = TUnit.Zero;
        TVector y7a = TUnit.Zero, y7b = TUnit.Zero;
        TVector y8a = TUnit.Zero, y8b = TUnit.Zero;
        TVector y9a = TUnit.Zero, y9b = TUnit.Zero;
        if (add)
        {
            y0a = TUnit.Load(y);
            y0b = TUnit.Load(y + TUnit.Width);
            y1a = TUnit.Load(y + stride);
            y1b = TUnit.Load(y + stride + TUnit.Width);
            y2a = TUnit.Load(y + 2 * stride);
            y2b = TUnit.Load(y + 2 * stride + TUnit.Width);
            y3a = TUnit.Load(y + 3 * stride);
            y3b = TUnit.Load(y + 3 * stride + TUnit.Width);
            y4a = TUnit.Load(y + 4 * stride);
            y4b = TUnit.Load(y + 4 * stride + TUnit.Width);
            y5a = TUnit.Load(y + 5 * stride);
            y5b = TUnit.Load(y + 5 * stride + TUnit.Width);
            y6a = TUnit.Load(y + 6 * stride);
            y6b = TUnit.Load(y + 6 * stride + TUnit.Width);
            y7a = TUnit.Load(y + 7 * stride);
            y7b = TUnit.Load(y + 7 * stride + TUnit.Width);
            y8a = TUnit.Load(y + 8 * stride);
            y8b = TUnit.Load(y + 8 * stride + TUnit.Width);
            y9a = TUnit.Load(y + 9 * stride);
            y9b = TUnit.Load(y + 9 * stride + TUnit.Width);
        }
        var end = (long)pairs * TFormat.PairBytes;
        for (var at = 0L; at < end; at += TFormat.PairBytes)
        {
            CacheLine.Prefetch(w0 + at);
            CacheLine.Prefetch(w1 + at);
            var a0 = TFormat.First<TUnit, TVector>(w0 + at);
            var a1 = TFormat.First<TUnit, TVector>(w1 + at);
            var x00 = TUnit.Broadcast(x[0]);
            y0a = TUnit.MultiplyAdd(a0, x00, y0a);
            y0b = TUnit.MultiplyAdd(a1, x00, y0b);
            var x01 = TUnit.Broadcast(x[1]);
            y1a = TUnit.MultiplyAdd(a0, x01, y1a);
            y1b = TUnit.MultiplyAdd(a1, x01, y1b);
            var x02 = TUnit.Broadcast(x[2]);
            y2a = TUnit.MultiplyAdd(a0, x02, y2a);
            y2b = TUnit.MultiplyAdd(a1, x02, y2b);
            var x03 = TUnit.Broadcast(x[3]);
            y3a = TUnit.MultiplyAdd(a0, x03, y3a);
            y3b = TUnit.MultiplyAdd(a1, x03, y3b);
            var x04 = TUnit.Broadcast(x[4]);
            y4a = TUnit.MultiplyAdd(a0, x04, y4a);
            y4b = TUnit.MultiplyAdd(a1, x04, y4b);
            var x05 = TUnit.Broadcast(x[5]);
            y5a = TUnit.MultiplyAdd(a0, x05, y5a);
            y5b = TUnit.MultiplyAdd(a1, x05, y5b);
            var x06 = TUnit.Broadcast(x[6]);
            y6a = TUnit.MultiplyAdd(a0, x06, y6a);
            y6b = TUnit.MultiplyAdd(a1, x06, y6b);
            var x07 = TUnit.Broadcast(x[7]);
            y7a = TUnit.MultiplyAdd(a0, x07, y7a);
            y7b = TUnit.MultiplyAdd(a1, x07, y7b);
            var x08 = TUnit.Broadcast(x[8]);
            y8a = TUnit.MultiplyAdd(a0, x08, y8a);
            y8b = TUnit.MultiplyAdd(a1, x08, y8b);
            var x09 = TUnit.Broadcast(x[9]);
            y9a = TUnit.MultiplyAdd(a0, x09, y9a);
            y9b = TUnit.MultiplyAdd(a1, x09, y9b);
            var b0 = TFormat.Second<TUnit, TVector>(w0 + at);
            var b1 = TFormat.Second<TUnit, TVector>(w1 + at);
            var x10 = TUnit.Broadcast(x[10]);
            y0a = TUnit.MultiplyAdd(b0, x10, y0a);
            y0b = TUnit.MultiplyAdd(b1, x10, y0b);
            var x11 = TUnit.Broadcast(x[11]);
            y1a = TUnit.MultiplyAdd(b0, x11, y1a);
            y1b = TUnit.MultiplyAdd(b1, x11, y1b);
            var x12 = TUnit.Broadcast(x[12]);
            y2a = TUnit.MultiplyAdd(b0, x12, y2a);
            y2b = TUnit.MultiplyAdd(b1, x12, y2b);
            var x13 = TUnit.Broadcast(x[13]);
            y3a = TUnit.MultiplyAdd(b0, x13, y3a);
            y3b = TUnit.MultiplyAdd(b1, x13, y3b);
            var x14 = TUnit.Broadcast(x[14]);
            y4a = TUnit.MultiplyAdd(b0, x14, y4a);
            y4b = TUnit.MultiplyAdd(b1, x14, y4b);
            var x15 = TUnit.Broadcast(x[15]);
            y5a = TUnit.MultiplyAdd(b0, x15, y5a);
            y5b = TUnit.MultiplyAdd(b1, x15, y5b);
            var x16 = TUnit.Broadcast(x[16]);
            y6a = TUnit.MultiplyAdd(b0, x16, y6a);
            y6b = TUnit.MultiplyAdd(b1, x16, y6b);
            var x17 = TUnit.Broadcast(x[17]);
            y7a = TUnit.MultiplyAdd(b0, x17, y7a);
            y7b = TUnit.MultiplyAdd(b1, x17, y7b);
            var x18 = TUnit.Broadcast(x[18]);
            y8a = TUnit.MultiplyAdd(b0, x18, y8a);
            y8b = TUnit.MultiplyAdd(b1, x18, y8b);
            var x19 = TUnit.Broadcast(x[19]);
            y9a = TUnit.MultiplyAdd(b0, x19, y9a);
            y9b = TUnit.MultiplyAdd(b1, x19, y9b);
            x += 20;
        }
        TUnit.Store(y0a, y);
        TUnit.Store(y0b, y + TUnit.Width);
        TUnit.Store(y1a, y + stride);
        TUnit.Store(y1b, y + stride + TUnit.Width);
        TUnit.Store(y2a, y + 2 * stride);
        TUnit.Store(y2b, y + 2 * stride + TUnit.Width);
        TUnit.Store(y3a, y + 3 * stride);
        TUnit.Store(y3b, y + 3 * stride + TUnit.Width);
        TUnit.Store(y4a, y + 4 * stride);
        TUnit.Store(y4b, y + 4 * stride + TUnit.Width);
        TUnit.Store(y5a, y + 5 * stride);
        TUnit.Store(y5b, y + 5 * stride + TUnit.Width);
        TUnit.Store(y6a, y + 6 * stride);
        TUnit.Store(y6b, y + 6 * stride + TUnit.Width);
        TUnit.Store(y7a, y + 7 * stride);
        TUnit.Store(y7b, y + 7 * stride + TUnit.Width);
        TUnit.Store(y8a, y + 8 * stride);
        TUnit.Store(y8b, y + 8 * stride + TUnit.Width);
        TUnit.Store(y9a, y + 9 * stride);
        TUnit.Store(y9b, y + 9 * stride + TUnit.Width);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows11Vectors2(byte* w, long panelBytes, float* x, int pairs, float* y, long stride, bool add)
    {
        var w0 = At(w, panelBytes, 0);
        var w1 = At(w, panelBytes, 1);
        TVector y0a = TUnit.Zero, y0b = TUnit.Zero;
        TVector y1a = TUnit.Zero, y1b = TUnit.Zero;
        TVector y2a = TUnit.Zero, y2b = TUnit.Zero;
        TVector y3a = TUnit.Zero, y3b = TUnit.Zero;
        TVector y4a = TUnit.Zero, y4b = TUnit.Zero;
        TVector y5a = TUnit.Zero, y5b = TUnit.Zero;
        TVector y6a = TUnit.Zero, y6b = TUnit.Zero;
        TVector y7a = TUnit.Zero, y7b = TUnit.Zero;
        TVector y8a = TUnit.Zero, y8b = TUnit.Zero;
        TVector y9a = TUnit.Zero, y9b = TUnit.Zero;
        TVector y10a = TUnit.Zero, y10b = TUnit.Zero;
        if (add)
        {
            y0a = TUnit.Load(y);
            y0b = TUnit.Load(y + TUnit.Width);
            y1a = TUnit.Load(y + stride);
            y1b = TUnit.Load(y + stride + TUnit.Width);
            y2a = TUnit.Load(y + 2 * stride);
            y2b = TUnit.Load(y + 2 * stride + TUnit.Width);
            y3a = TUnit.Load(y + 3 * stride);
            y3b = TUnit.Load(y + 3 * stride + TUnit.Width);
            y4a = TUnit.Load(y + 4 * stride);
            y4b = TUnit.Load(y + 4 * stride + TUnit.Width);
            y5a = TUnit.Load(y + 5 * stride);
            y5b = TUnit.Load(y + 5 * stride + TUnit.Width);
            y6a = TUnit.Load(y + 6 * stride);
            y6b = TUnit.Load(y + 6 * stride + TUnit.Width);
            y7a = TUnit.Load(y + 7 * stride);
            y7b = TUnit.Load(y + 7 * stride + TUnit.Width);
            y8a = TUnit.Load(y + 8 * stride);
            y8b = TUnit.Load(y + 8 * stride + TUnit.Width);
            y9a = TUnit.Load(y + 9 * stride);
            y9b = TUnit.Load(y + 9 * stride + TUnit.Width);
            y10a = TUnit.Load(y + 10 * stride);
            y10b = TUnit.Load(y + 10 * stride + TUnit.Width);
        }
        var end = (long)pairs * TFormat.PairBytes;
        for (var at = 0L; at < end; at += TFormat.PairBytes)
        {
            CacheLine.Prefetch(w0 + at);
            CacheLine.Prefetch(w1 + at);
            var a0 = TFormat.First<TUnit, TVector>(w0 + at);
            var a1 = TFormat.First<TUnit, TVector>(w1 + at);
            var x00 = TUnit.Broadcast(x[0]);
            y0a = TUnit.MultiplyAdd(a0, x00, y0a);
            y0b = TUnit.MultiplyAdd(a1, x00, y0b);
            var x01 = TUnit.Broadcast(x[1]);
            y1a = TUnit.MultiplyAdd(a0, x01, y1a);
            y1b = TUnit.MultiplyAdd(a1, x01, y1b);
            var x02 = TUnit.Broadcast(x[2]);
            y2a = TUnit.MultiplyAdd(a0, x02, y2a);
            y2b = TUnit.MultiplyAdd(a1, x02, y2b);
            var x03 = TUnit.Broadcast(x[3]);
            y3a = TUnit.MultiplyAdd(a0, x03, y3a);
            y3b = TUnit.MultiplyAdd(a1, x03, y3b);
            var x04 = TUnit.Broadcast(x[4]);
            y4a = TUnit.MultiplyAdd(a0, x04, y4a);
            y4b = TUnit.MultiplyAdd(a1, x04, y4b);
            var x05 = TUnit.Broadcast(x[5]);
            y5a = TUnit.MultiplyAdd(a0, x05, y5a);
            y5b = TUnit.MultiplyAdd(a1, x05, y5b);
            var x06 = TUnit.Broadcast(x[6]);
            y6a = TUnit.MultiplyAdd(a0, x06, y6a);
            y6b = TUnit.MultiplyAdd(a1, x06, y6b);
            var x07 = TUnit.Broadcast(x[7]);
            y7a = TUnit.MultiplyAdd(a0, x07, y7a);
            y7b = TUnit.MultiplyAdd(a1, x07, y7b);
            var x08 = TUnit.Broadcast(x[8]);
            y8a = TUnit.MultiplyAdd(a0, x08, y8a);
            y8b = TUnit.MultiplyAdd(a1, x08, y8b);
            var x09 = TUnit.Broadcast(x[9]);
            y9a = TUnit.MultiplyAdd(a0, x09, y9a);
            y9b = TUnit.MultiplyAdd(a1, x09, y9b);
            var x010 = TUnit.Broadcast(x[10]);
            y10a = TUnit.MultiplyAdd(a0, x010, y10a);
            y10b = TUnit.MultiplyAdd(a1, x010, y10b);
            var b0 = TFormat.Second<TUnit, TVector>(w0 + at);
            var b1 = TFormat.Second<TUnit, TVector>(w1 + at);
            var x10 = TUnit.Broadcast(x[11]);
            y0a = TUnit.MultiplyAdd(b0, x10, y0a);
            y0b = TUnit.MultiplyAdd(b1, x10, y0b);
            var x11 = TUnit.Broadcast(x[12]);
            y1a = TUnit.MultiplyAdd(b0, x11, y1a);
            y1b = TUnit.MultiplyAdd(b1, x11, y1b);
            var x12 = TUnit.Broadcast(x[13]);
            y2a = TUnit.MultiplyAdd(b0, x12, y2a);
            y2b = TUnit.MultiplyAdd(b1, x12, y2b);
            var x13 = TUnit.Broadcast(x[14]);
            y3a = TUnit.MultiplyAdd(b0, x13, y3a);
            y3b = TUnit.MultiplyAdd(b1, x13, y3b);
            var x14 = TUnit.Broadcast(x[15]);
            y4a = TUnit.MultiplyAdd(b0, x14, y4a);
            y4b = TUnit.MultiplyAdd(b1, x14, y4b);
            var x15 = TUnit.Broadcast(x[16]);
            y5a = TUnit.MultiplyAdd(b0, x15, y5a);
            y5b = TUnit.MultiplyAdd(b1, x15, y5b);
            var x16 = TUnit.Broadcast(x[17]);
            y6a = TUnit.MultiplyAdd(b0, x16, y6a);
            y6b = TUnit.MultiplyAdd(b1, x16, y6b);
            var x17 = TUnit.Broadcast(x[18]);
            y7a = TUnit.MultiplyAdd(b0, x17, y7a);
            y7b = TUnit.MultiplyAdd(b1, x17, y7b);
            var x18 = TUnit.Broadcast(x[19]);
            y8a = TUnit.MultiplyAdd(b0, x18, y8a);
            y8b = TUnit.MultiplyAdd(b1, x18, y8b);
            var x19 = TUnit.Broadcast(x[20]);
            y9a = TUnit.MultiplyAdd(b0, x19, y9a);
            y9b = TUnit.MultiplyAdd(b1, x19, y9b);
            var x110 = TUnit.Broadcast(x[21]);
            y10a = TUnit.MultiplyAdd(b0, x110, y10a);
            y10b = TUnit.MultiplyAdd(b1, x110, y10b);
            x += 22;
        }
        TUnit.Store(y0a, y);
        TUnit.Store(y0b, y + TUnit.Width);
        TUnit.Store(y1a, y + stride);
        TUnit.Store(y1b, y + stride + TUnit.Width);
        TUnit.Store(y2a, y + 2 * stride);
        TUnit.Store(y2b, y + 2 * stride + TUnit.Width);
        TUnit.Store(y3a, y + 3 * stride);
        TUnit.Store(y3b, y + 3 * stride + TUnit.Width);
        TUnit.Store(y4a, y + 4 * stride);
        TUnit.Store(y4b, y + 4 * stride + TUnit.Width);
        TUnit.Store(y5a, y + 5 * stride);
        TUnit.Store(y5b, y + 5 * stride + TUnit.Width);
        TUnit.Store(y6a, y + 6 * stride);
        TUnit.Store(y6b, y + 6 * stride + TUnit.Width);
        TUnit.Store(y7a, y + 7 * stride);
        TUnit.Store(y7b, y + 7 * stride + TUnit.Width);
        TUnit.Store(y8a, y + 8 * stride);
        TUnit.Store(y8b, y + 8 * stride + TUnit.Width);
        TUnit.Store(y9a, y + 9 * stride);
        TUnit.Store(y9b, y + 9 * stride + TUnit.Width);
        TUnit.Store(y10a, y + 10 * stride);
        TUnit.Store(y10b, y + 10 * stride + TUnit.Width);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows12Vectors2(byte* w, long panelBytes, float* x, int pairs, float* y, long stride, bool add)
    {
        var w0 = At(w, panelBytes, 0);
        var w1 = At(w, panelBytes, 1);
        TVector y0a = TUnit.Zero, y0b = TUnit.Zero;
        TVector y1a = TUnit.Zero, y1b = TUnit.Zero;
        TVector y2a = TUnit.Zero, y2b = TUnit.Zero;
        TVector y3a = TUnit.Zero, y3b = TUnit.Zero;
        TVector y4a = TUnit.Zero, y4b = TUnit.Zero;
        TVector y5a = TUnit.Zero, y5b = TUnit.Zero;
        TVector y6a = TUnit.Zero, y6b = TUnit.Zero;
        TVector y7a = TUnit.Zero, y7b = TUnit.Zero;
        TVector y8a = TUnit.Zero, y8b = TUnit.Zero;
        TVector y9a = TUnit.Zero, y9b = TUnit.Zero;
        TVector y10a = TUnit.Zero, y10b = TUnit.Zero;
        TVector y11a = TUnit.Zero, y11b = TUnit.Zero;
        if (add)
        {
            y0a = TUnit.Load(y);
            y0b = TUnit.Load(y + TUnit.Width);
            y1a = TUnit.Load(y + stride);
            y1b = TUnit.Load(y + stride + TUnit.Width);
            y2a = TUnit.Load(y + 2 * stride);
            y2b = TUnit.Load(y + 2 * stride + TUnit.Width);
            y3a = TUnit.Load(y + 3 * stride);
            y3b = TUnit.Load(y + 3 * stride + TUnit.Width);
            y4a = TUnit.Load(y + 4 * stride);
            y4b = TUnit.Load(y + 4 * stride + TUnit.Width);
            y5a = TUnit.Load(y + 5 * stride);
            y5b = TUnit.Load(y + 5 * stride + TUnit.Width);
            y6a = TUnit.Load(y + 6 * stride);
            y6b = TUnit.Load(y + 6 * stride + TUnit.Width);
            y7a = TUnit.Load(y + 7 * stride);
            y7b = TUnit.Load(y + 7 * stride + TUnit.Width);
            y8a = TUnit.Load(y + 8 * stride);
            y8b = TUnit.Load(y + 8 * stride + TUnit.Width);
            y9a = TUnit.Load(y + 9 * stride);
            y9b = TUnit.Load(y + 9 * stride + TUnit.Width);
            y10a = TUnit.Load(y + 10 * stride);
            y10b = TUnit.Load(y + 10 * stride + TUnit.Width);
            y11a = TUnit.Load(y + 11 * stride);
            y11b = TUnit.Load(y + 11 * stride + TUnit.Width);
        }
        var end = (long)pairs * TFormat.PairBytes;
        for (var at = 0L; at < end; at += TFormat.PairBytes)
        {
            CacheLine.Prefetch(w0 + at);
            CacheLine.Prefetch(w1 + at);
            var a0 = TFormat.First<TUnit, TVector>(w0 + at);
            var a1 = TFormat.First<TUnit, TVector>(w1 + at);
            var x00 = TUnit.Broadcast(x[0]);
            y0a = TUnit.MultiplyAdd(a0, x00, y0a);
            y0b = TUnit.MultiplyAdd(a1, x00, y0b);
            var x01 = TUnit.Broadcast(x[1]);
            y1a = TUnit.MultiplyAdd(a0, x01, y1a);
            y1b = TUnit.MultiplyAdd(a1, x01, y1b);
            var x02 = TUnit.Broadcast(x[2]);
            y2a = TUnit.MultiplyAdd(a0, x02, y2a);
            y2b = TUnit.MultiplyAdd(a1, x02, y2b);
            var x03 = TUnit.Broadcast(x[3]);
            y3a = TUnit.MultiplyAdd(a0, x03, y3a);
            y3b = TUnit.MultiplyAdd(a1, x03, y3b);
            var x04 = TUnit.Broadcast(x[4]);
            y4a = TUnit.MultiplyAdd(a0, x04, y4a);
            y4b = TUnit.MultiplyAdd(a1, x04, y4b);
            var x05 = TUnit.Broadcast(x[5]);
            y5a = TUnit.MultiplyAdd(a0, x05, y5a);
            y5b = TUnit.MultiplyAdd(a1, x05, y5b);
            var x06 = TUnit.Broadcast(x[6]);
            y6a = TUnit.MultiplyAdd(a0, x06, y6a);
            y6b = TUnit.MultiplyAdd(a1, x06, y6b);
            var x07 = TUnit.Broadcast(x[7]);
            y7a = TUnit.MultiplyAdd(a0, x07, y7a);
            y7b = TUnit.MultiplyAdd(a1, x07, y7b);
            var x08 = TUnit.Broadcast(x[8]);
            y8a = TUnit.MultiplyAdd(a0, x08, y8a);
            y8b = TUnit.MultiplyAdd(a1, x08, y8b);
            var x09 = TUnit.Broadcast(x[9]);
            y9a = TUnit.MultiplyAdd(a0, x09, y9a);
            y9b = TUnit.MultiplyAdd(a1, x09, y9b);
            var x010 = TUnit.Broadcast(x[10]);
            y10a = TUnit.MultiplyAdd(a0, x010, y10a);
            y10b = TUnit.MultiplyAdd(a1, x010, y10b);
            var x011 = TUnit.Broadcast(x[11]);
            y11a = TUnit.MultiplyAdd(a0, x011, y11a);
            y11b = TUnit.MultiplyAdd(a1, x011, y11b);
            var b0 = TFormat.Second<TUnit, TVector>(w0 + at);
            var b1 = TFormat.Second<TUnit, TVector>(w1 + at);
            var x10 = TUnit.Broadcast(x[12]);
            y0a = TUnit.MultiplyAdd(b0, x10, y0a);
            y0b = TUnit.MultiplyAdd(b1, x10, y0b);
            var x11 = TUnit.Broadcast(x[13]);
            y1a = TUnit.MultiplyAdd(b0, x11, y1a);
            y1b = TUnit.MultiplyAdd(b1, x11, y1b);
            var x12 = TUnit.Broadcast(x[14]);
            y2a = TUnit.MultiplyAdd(b0, x12, y2a);
            y2b = TUnit.MultiplyAdd(b1, x12, y2b);
            var x13 = TUnit.Broadcast(x[15]);
            y3a = TUnit.MultiplyAdd(b0, x13, y3a);
            y3b = TUnit.MultiplyAdd(b1, x13, y3b);
            var x14 = TUnit.Broadcast(x[16]);
            y4a = TUnit.MultiplyAdd(b0, x14, y4a);
            y4b = TUnit.MultiplyAdd(b1, x14, y4b);
            var x15 = TUnit.Broadcast(x[17]);
            y5a = TUnit.MultiplyAdd(b0, x15, y5a);
            y5b = TUnit.MultiplyAdd(b1, x15, y5b);
            var x16 = TUnit.Broadcast(x[18]);
            y6a = TUnit.MultiplyAdd(b0, x16, y6a);
            y6b = TUnit.MultiplyAdd(b1, x16, y6b);
            var x17 = TUnit.Broadcast(x[19]);
            y7a = TUnit.MultiplyAdd(b0, x17, y7a);
            y7b = TUnit.MultiplyAdd(b1, x17, y7b);
            var x18 = TUnit.Broadcast(x[20]);
            y8a = TUnit.MultiplyAdd(b0, x18, y8a);
            y8b = TUnit.MultiplyAdd(b1, x18, y8b);
            var x19 = TUnit.Broadcast(x[21]);
            y9a = TUnit.MultiplyAdd(b0, x19, y9a);
            y9b = TUnit.MultiplyAdd(b1, x19, y9b);
            var x110 = TUnit.Broadcast(x[22]);
            y10a = TUnit.MultiplyAdd(b0, x110, y10a);
            y10b = TUnit.MultiplyAdd(b1, x110, y10b);
            var x111 = TUnit.Broadcast(x[23]);
            y11a = TUnit.MultiplyAdd(b0, x111, y11a);
            y11b = TUnit.MultiplyAdd(b1, x111, y11b);
            x += 24;
        }
        TUnit.Store(y0a, y);
        TUnit.Store(y0b, y + TUnit.Width);
        TUnit.Store(y1a, y + stride);
        TUnit.Store(y1b, y + stride + TUnit.Width);
        TUnit.Store(y2a, y + 2 * stride);
        TUnit.Store(y2b, y + 2 * stride + TUnit.Width);
        TUnit.Store(y3a, y + 3 * stride);
        TUnit.Store(y3b, y + 3 * stride + TUnit.Width);
        TUnit.Store(y4a, y + 4 * stride);
        TUnit.Store(y4b, y + 4 * stride + TUnit.Width);
        TUnit.Store(y5a, y + 5 * stride);
        TUnit.Store(y5b, y + 5 * stride + TUnit.Width);
        TUnit.Store(y6a, y + 6 * stride);
        TUnit.Store(y6b, y + 6 * stride + TUnit.Width);
        TUnit.Store(y7a, y + 7 * stride);
        TUnit.Store(y7b, y + 7 * stride + TUnit.Width);
        TUnit.Store(y8a, y + 8 * stride);
        TUnit.Store(y8b, y + 8 * stride + TUnit.Width);
        TUnit.Store(y9a, y + 9 * stride);
        TUnit.Store(y9b, y + 9 * stride + TUnit.Width);
        TUnit.Store(y10a, y + 10 * stride);
        TUnit.Store(y10b, y + 10 * stride + TUnit.Width);
        TUnit.Store(y11a, y + 11 * stride);
        TUnit.Store(y11b, y + 11 * stride + TUnit.Width);
    }

    // Where the weights of a vector of outputs begin.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static byte* At(byte* w, long panelBytes, int vector) =>
        w + vector * TUnit.Width / PanelMatrix.PanelWidth * panelBytes + vector * TUnit.Width % PanelMatrix.PanelWidth * sizeof(float);
}
