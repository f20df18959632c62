"""Writes PanelTiles.cs: python3 PanelTiles.py > PanelTiles.cs

A tile keeps all of its sums in registers, so each sum is a variable of its own and every shape is a method of its own. Shapes: one row
over eight vectors of outputs, two rows over four, more rows over two; fewer vectors where a matrix has no more left.
"""

SHAPES = [(1, 8), (1, 4), (1, 2), (2, 4), (2, 2)] + [(rows, 2) for rows in range(3, 13)]

HEAD = '''// Written by PanelTiles.py, which says why. Change that file, not this one.
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
    {'''


def place(row, vector):
    times = lambda n, what: "" if n == 0 else f" + {what}" if n == 1 else f" + {n} * {what}"
    return "y" + times(row, "stride") + times(vector, "TUnit.Width")


def tile(rows, vectors):
    out = ["", "    [MethodImpl(MethodImplOptions.AggressiveOptimization)]",
           f"    private static void Rows{rows}Vectors{vectors}(byte* w, long panelBytes, float* x, int pairs, float* y, long stride, bool add)",
           "    {"]
    add = lambda line: out.append("        " + line)
    for v in range(vectors):
        add(f"var w{v} = At(w, panelBytes, {v});")
    for r in range(rows):
        for v in range(0, vectors, 4):
            add("TVector " + ", ".join(f"y{r}{chr(97 + u)} = TUnit.Zero" for u in range(v, min(v + 4, vectors))) + ";")
    add("if (add)")
    add("{")
    for r in range(rows):
        for v in range(vectors):
            add(f"    y{r}{chr(97 + v)} = TUnit.Load({place(r, v)});")
    add("}")
    add("var end = (long)pairs * TFormat.PairBytes;")
    add("for (var at = 0L; at < end; at += TFormat.PairBytes)")
    add("{")
    for v in range(vectors):
        add(f"    CacheLine.Prefetch(w{v} + at);")
    for half in (0, 1):
        load = ("First", "Second")[half]
        if rows > 1:
            for v in range(vectors):
                add(f"    var {'ab'[half]}{v} = TFormat.{load}<TUnit, TVector>(w{v} + at);")
        for r in range(rows):
            x = f"x{half}{r}"
            add(f"    var {x} = TUnit.Broadcast(x[{half * rows + r}]);")
            for v in range(vectors):
                weight = f"{'ab'[half]}{v}" if rows > 1 else f"TFormat.{load}<TUnit, TVector>(w{v} + at)"
                y = f"y{r}{chr(97 + v)}"
                add(f"    {y} = TUnit.MultiplyAdd({weight}, {x}, {y});")
    add(f"    x += {2 * rows};")
    add("}")
    for r in range(rows):
        for v in range(vectors):
            add(f"TUnit.Store(y{r}{chr(97 + v)}, {place(r, v)});")
    out.append("    }")
    return out


lines = [HEAD]
lines += [f"        ({rows}, {vectors}) => &Rows{rows}Vectors{vectors}," for rows, vectors in SHAPES]
lines += ["        _ => throw new ArgumentOutOfRangeException(nameof(rows)),", "    };"]
for shape in SHAPES:
    lines += tile(*shape)
lines += ["", "    // Where the weights of a vector of outputs begin.", "    [MethodImpl(MethodImplOptions.AggressiveInlining)]",
          "    private static byte* At(byte* w, long panelBytes, int vector) =>",
          "        w + vector * TUnit.Width / PanelMatrix.PanelWidth * panelBytes + vector * TUnit.Width % PanelMatrix.PanelWidth * sizeof(float);",
          "}"]
print("\n".join(lines))
