using System.Runtime.Intrinsics;

namespace Koala.Lab.Kernels;

/// <summary>The tiles for one type of weights and for the vectors of this processor.</summary>
internal sealed unsafe class Tiles
{
    private const int MaxRows = 12;

    private static readonly (int Rows, int Vectors)[] s_shapes =
        [(1, 8), (1, 4), (1, 2), (2, 4), .. Enumerable.Range(2, MaxRows - 1).Select(rows => (rows, 2))];

    private static readonly Tiles[] s_all = [Create<Float32Panels>(), Create<BFloat16Panels>(), Create<Float16Panels>()];

    private readonly delegate*<byte*, long, float*, int, float*, long, bool, void>[] _tiles;

    private Tiles(int pairBytes, delegate*<byte*, long, float*, int, float*, long, bool, void>[] tiles) =>
        (PairBytes, _tiles) = (pairBytes, tiles);

    /// <summary>The bytes of a pair of inputs with 32 outputs.</summary>
    public int PairBytes { get; }

    /// <summary>The tiles for weights of a type.</summary>
    public static Tiles Of(PanelType type) => s_all[(int)type];

    /// <summary>Runs the tile of a shape; see <see cref="PanelTiles{TUnit, TVector, TFormat}"/>.</summary>
    public void Run(int rows, int vectors, byte* w, long panelBytes, float* x, int pairs, float* y, long stride, bool add) =>
        _tiles[Index(rows, vectors)](w, panelBytes, x, pairs, y, stride, add);

    private static int Index(int rows, int vectors) => rows * 9 + vectors;

    private static Tiles Create<TFormat>() where TFormat : IPanelFormat
    {
        var tiles = new delegate*<byte*, long, float*, int, float*, long, bool, void>[Index(MaxRows + 1, 0)];
        foreach (var (rows, vectors) in s_shapes)
        {
            tiles[Index(rows, vectors)] =
                Vector512.IsHardwareAccelerated ? PanelTiles<Vector512Unit, Vector512<float>, TFormat>.Of(rows, vectors)
                : Vector256.IsHardwareAccelerated ? PanelTiles<Vector256Unit, Vector256<float>, TFormat>.Of(rows, vectors)
                : PanelTiles<Vector128Unit, Vector128<float>, TFormat>.Of(rows, vectors);
        }
        return new Tiles(TFormat.PairBytes, tiles);
    }
}
