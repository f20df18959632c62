using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Koala.Lab.Checkpoints;
using static TorchSharp.torch;

namespace Koala.Lab.Kernels;

/// <summary>Makes panels of the rows that matrices store, the rows of one after those of another.</summary>
/// <remarks>
/// A thread reads the 32 rows of a panel into memory that stays in its core's cache, and transposes them from there into the panel. So
/// weights are in memory once, are written once, and one thread reads while another transposes.
/// </remarks>
internal sealed unsafe class PanelPacking : ICrewWork
{
    // From the smallest type on; of bf16 and fp16 the first one is kept simpler.
    private static readonly PanelType[] s_types = [PanelType.BFloat16, PanelType.Float16, PanelType.Float32];

    private readonly IReadOnlyList<StoredMatrix> _parts;
    private readonly FloatPanels _panels;
    private readonly int _each;   // panels per chunk
    private readonly NativeBuffer?[] _rows = new NativeBuffer?[WorkCrew.MaxThreads];   // each thread's rows of a panel
    private Exception? _error;
    private bool _fits = true;

    private PanelPacking(IReadOnlyList<StoredMatrix> parts, FloatPanels panels)
    {
        (_parts, _panels) = (parts, panels);
        _each = (panels.Panels + WorkCrew.MaxChunks - 1) / WorkCrew.MaxChunks;
    }

    /// <summary>Packs matrices in the smallest type that holds all of their numbers as they are.</summary>
    /// <param name="parts">The matrices, at least one; all have the same dtype and number of columns.</param>
    /// <param name="crew">The threads that read and pack.</param>
    /// <exception cref="KoalaException">A row cannot be read.</exception>
    public static PanelMatrix Pack(IReadOnlyList<StoredMatrix> parts, WorkCrew crew)
    {
        // No type smaller than that of the first panel's numbers holds them all, and mostly no other one is needed.
        for (var type = Array.IndexOf(s_types, FirstType(parts)); ; type++)
            if (TryPack(parts, s_types[type], crew) is { } matrix) return matrix;
    }

    /// <summary>
    /// Packs matrices in a type, or returns null if it lacks some of their numbers. fp32 and a part's own dtype lack none.
    /// </summary>
    /// <param name="parts">The matrices, at least one; all have the same dtype and number of columns.</param>
    /// <param name="type">The type of the panels.</param>
    /// <param name="crew">The threads that read and pack.</param>
    /// <exception cref="KoalaException">A row cannot be read.</exception>
    public static PanelMatrix? TryPack(IReadOnlyList<StoredMatrix> parts, PanelType type, WorkCrew crew)
    {
        var panels = new FloatPanels(type, checked((int)parts.Sum(part => part.Rows)), checked((int)parts[0].Columns));
        var packing = new PanelPacking(parts, panels);
        crew.Run(packing, (panels.Panels + packing._each - 1) / packing._each);
        foreach (var rows in packing._rows) rows?.Dispose();
        if (packing is { _error: null, _fits: true }) return panels;
        panels.Dispose();
        if (packing._error is { } error) ExceptionDispatchInfo.Throw(error);
        return null;
    }

    public void Do(int chunk, int worker)
    {
        try
        {
            for (var panel = chunk * _each; panel < Math.Min(_panels.Panels, (chunk + 1) * _each); panel++)
                if (Volatile.Read(ref _error) is null && Volatile.Read(ref _fits)) PackPanel(panel, worker);
        }
        catch (Exception e)
        {
            // A crew's threads must not throw; the caller does.
            Interlocked.CompareExchange(ref _error, e, null);
        }
    }

    private static PanelType FirstType(IReadOnlyList<StoredMatrix> parts)
    {
        if (parts[0].Dtype == ScalarType.BFloat16) return PanelType.BFloat16;
        var (rows, inputs) = ((int)Math.Min(parts[0].Rows, PanelMatrix.PanelWidth), parts[0].Columns);
        using var numbers = NativeBuffer.ToFill(rows * inputs * sizeof(float));
        ReadWidened(parts, 0, rows, numbers.Address);
        return PanelMatrix.SmallestType(numbers.Floats, rows * inputs);
    }

    private void PackPanel(int panel, int worker)
    {
        const int Width = PanelMatrix.PanelWidth;
        var inputs = _panels.Inputs;
        var first = panel * Width;
        var count = Math.Min(Width, _panels.Outputs - first);
        var rows = (_rows[worker] ??= NativeBuffer.ToFill((long)Width * inputs * sizeof(float))).Address;
        var numbers = (long)count * inputs;
        var isOwnType = (_parts[0].Dtype, _panels.Type)
            is (ScalarType.BFloat16, PanelType.BFloat16) or (ScalarType.Float32, PanelType.Float32);
        if (isOwnType) Read(_parts, first, count, rows);
        else if ((_parts[0].Dtype, _panels.Type) is (ScalarType.Float16, PanelType.Float16))
        {
            Read(_parts, first, count, rows);
            // Kernels widen finite numbers only.
            if (!AreFinite((Half*)rows, numbers)) Volatile.Write(ref _fits, false);
        }
        else
        {
            ReadWidened(_parts, first, count, rows);
            if (!TryNarrow((float*)rows, numbers, _panels.Type)) Volatile.Write(ref _fits, false);
        }
        var size = _panels.Type == PanelType.Float32 ? sizeof(float) : sizeof(ushort);
        var words = inputs * size / sizeof(uint);
        var to = (uint*)_panels.Panel(panel);
        if (count < Width) new Span<byte>(to, checked((int)_panels.PanelBytes)).Clear();
        Transpose(rows, (long)inputs * size, count, words, to);
        if (inputs % 2 == 0) return;
        // The last pair lacks its second input.
        for (var lane = 0; lane < Width; lane++)
            to[words * Width + lane] = size == sizeof(float) || lane >= count ? 0u : ((ushort*)rows)[(lane + 1L) * inputs - 1];
    }

    // Reads rows of all parts together.
    private static void Read(IReadOnlyList<StoredMatrix> parts, long first, int count, byte* to)
    {
        foreach (var part in parts)
        {
            var rows = (int)Math.Min(count, part.Rows - first);
            if (rows > 0)
            {
                part.Fill(first, new Span<byte>(to, checked((int)(rows * part.RowBytes))));
                to += rows * part.RowBytes;
                (count, first) = (count - rows, first + rows);
            }
            if (count == 0) return;
            first -= part.Rows;
        }
    }

    // Reads rows and widens them to fp32, in room for fp32 numbers.
    private static void ReadWidened(IReadOnlyList<StoredMatrix> parts, long first, int count, byte* to)
    {
        var numbers = count * parts[0].Columns;
        // Behind what is widened, a number is never overwritten before it is read.
        var stored = to + numbers * (sizeof(float) - parts[0].Size);
        Read(parts, first, count, stored);
        if (parts[0].Dtype == ScalarType.Float16)
            for (var i = 0L; i < numbers; i++) ((float*)to)[i] = (float)((Half*)stored)[i];
        else if (parts[0].Dtype == ScalarType.BFloat16)
            for (var i = 0L; i < numbers; i++) ((uint*)to)[i] = (uint)((ushort*)stored)[i] << 16;
    }

    // Narrows fp32 numbers where they are. Returns false if the type lacks one of them.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static bool TryNarrow(float* numbers, long count, PanelType type)
    {
        switch (type)
        {
            case PanelType.BFloat16:
                var lost = 0u;
                for (var i = 0L; i < count; i++)
                {
                    var bits = ((uint*)numbers)[i];
                    lost |= bits & 0xFFFF;
                    ((ushort*)numbers)[i] = (ushort)(bits >> 16);
                }
                return lost == 0;
            case PanelType.Float16:
                for (var i = 0L; i < count; i++)
                {
                    var half = (Half)numbers[i];
                    if (!Half.IsFinite(half) || (float)half != numbers[i]) return false;
                    ((Half*)numbers)[i] = half;
                }
                return true;
            default:
                return true;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static bool AreFinite(Half* numbers, long count)
    {
        for (var i = 0L; i < count; i++)
            if (!Half.IsFinite(numbers[i])) return false;
        return true;
    }

    /// <summary>Transposes rows of 32-bit words into the lanes of a panel: word w of row r becomes lane r of word w.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="stride">The bytes from one row to the next.</param>
    /// <param name="count">The number of rows, at most 32.</param>
    /// <param name="words">The words of a row.</param>
    /// <param name="to">The panel.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Transpose(byte* rows, long stride, int count, int words, uint* to)
    {
        const int Width = PanelMatrix.PanelWidth;
        var word = 0;
        if (Avx.IsSupported && count == Width)
            for (; word <= words - 16; word += 16)
                for (var lane = 0; lane < Width; lane += 8)
                {
                    // Both halves of a cache line, before rows at the same place of a page take its place in the cache.
                    var from = rows + lane * stride + word * sizeof(uint);
                    TransposeEight(from, stride, to + word * Width + lane);
                    TransposeEight(from + 8 * sizeof(uint), stride, to + (word + 8) * Width + lane);
                }
        for (; word < words; word++)
            for (var lane = 0; lane < count; lane++) to[word * Width + lane] = *(uint*)(rows + lane * stride + word * sizeof(uint));
    }

    // Eight words of eight rows. These instructions only move bits.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void TransposeEight(byte* rows, long stride, uint* to)
    {
        Vector256<float> Row(int row) => Vector256.Load((float*)(rows + row * stride));
        var (a, b, c, d) = (Row(0), Row(1), Row(2), Row(3));
        var (e, f, g, h) = (Row(4), Row(5), Row(6), Row(7));
        var (ab, abHigh) = (Avx.UnpackLow(a, b), Avx.UnpackHigh(a, b));
        var (cd, cdHigh) = (Avx.UnpackLow(c, d), Avx.UnpackHigh(c, d));
        var (ef, efHigh) = (Avx.UnpackLow(e, f), Avx.UnpackHigh(e, f));
        var (gh, ghHigh) = (Avx.UnpackLow(g, h), Avx.UnpackHigh(g, h));
        void Store(int word, Vector256<float> upper, Vector256<float> lower)
        {
            Avx.Permute2x128(upper, lower, 0x20).Store((float*)(to + word * PanelMatrix.PanelWidth));
            Avx.Permute2x128(upper, lower, 0x31).Store((float*)(to + (word + 4) * PanelMatrix.PanelWidth));
        }
        Store(0, Avx.Shuffle(ab, cd, 0x44), Avx.Shuffle(ef, gh, 0x44));
        Store(1, Avx.Shuffle(ab, cd, 0xEE), Avx.Shuffle(ef, gh, 0xEE));
        Store(2, Avx.Shuffle(abHigh, cdHigh, 0x44), Avx.Shuffle(efHigh, ghHigh, 0x44));
        Store(3, Avx.Shuffle(abHigh, cdHigh, 0xEE), Avx.Shuffle(efHigh, ghHigh, 0xEE));
    }
}
