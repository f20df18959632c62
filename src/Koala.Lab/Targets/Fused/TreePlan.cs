using System.Runtime.InteropServices;
using Koala.Lab.Runtime.Cuda;
using Koala.Lab.Runtime.Files;
using static TorchSharp.torch;

namespace Koala.Lab.Targets.Fused;

/// <summary>
/// The draft trees of a round, which grow on a GPU (DraftTree.cu): between two levels the host reads nothing and sends nothing. It works as
/// <see cref="Drafting.Trees.DynamicTree"/> describes, with scores in fp32.
/// </summary>
/// <remarks>
/// B sequences, K nodes that are expanded per level and children of each, P nodes of a sequence, V' the head's vocabulary. All methods
/// launch work that can be captured in a CUDA graph.
/// </remarks>
internal sealed unsafe class TreePlan
{
    // Numbers of DraftTree.cu.
    private const int MostNodes = 4096;
    private const int MostTop = 16;
    private const int NodeInts = 4;
    private const int RankThreads = 1024;
    private const int GrowThreads = MostTop * MostTop;
    private const int KeepThreads = 1024;

    private readonly CudaProgram _program;
    private readonly int _batch;
    private readonly int _top;
    private readonly int _levels;
    private readonly Device _device;
    private readonly IntPtr _ids;
    private readonly Tensor _best;          // [B·K,K] int32
    private readonly Tensor _logQ;          // [B·K,K]
    private readonly Tensor _nodes;         // [B,P,NodeInts] int32
    private readonly Tensor _beam;          // [B,K] int32
    private int _level;

    /// <summary>Begins the trees of a round. The tensors belong to the current scope.</summary>
    /// <param name="program">What <see cref="Load"/> returned.</param>
    /// <param name="batch">B.</param>
    /// <param name="top">K.</param>
    /// <param name="levels">The number of levels.</param>
    /// <param name="ids">The address of the target's token of each of the head's, [V'] int64; 0 where they are the same.</param>
    /// <param name="device">The GPU.</param>
    public TreePlan(CudaProgram program, int batch, int top, int levels, IntPtr ids, Device device)
    {
        (_program, _batch, _top, _levels, _ids, _device) = (program, batch, top, levels, ids, device);
        _best = Ints(batch * top, top);
        _logQ = empty(batch * top, top, ScalarType.Float32, device);
        _nodes = Ints(batch, NodesOf(top, levels), NodeInts);
        _beam = Ints(batch, top);
    }

    /// <summary>Whether the kernels plan trees of these sizes.</summary>
    /// <param name="batch">B.</param>
    /// <param name="top">K.</param>
    /// <param name="levels">The number of levels.</param>
    /// <param name="vocabulary">V'.</param>
    public static bool Fits(int batch, int top, int levels, int vocabulary) =>
        top <= Math.Min(MostTop, vocabulary) && batch * top <= FusedLayers.MostRows && NodesOf(top, levels) <= MostNodes;

    /// <summary>Loads the kernels for the current GPU, or compiles them; null where <see cref="CudaProgram.Load"/> returns null.</summary>
    public static CudaProgram? Load() =>
        CudaProgram.Load("DraftTree.cu", EmbeddedFile.Read("Rows.cu") + EmbeddedFile.Read("DraftTree.cu"), [[]])?[0];

    /// <summary>Adds a level: the children of the roots, or of the nodes that <see cref="Grow"/> chose before.</summary>
    /// <param name="logits">The logits after each of these parents, [B,V'] or [B·K,V'], bf16; a kernel of ours has launched them.</param>
    /// <param name="parents">The rows of the parents (<see cref="RowDescriptions"/>).</param>
    /// <returns>The rows of the children that are expanded next, [B·K,Ints]; null after the last level.</returns>
    public Tensor? Grow(Tensor logits, Tensor parents)
    {
        var (rows, vocabulary, top) = ((int)logits.shape[0], (int)logits.shape[1], _top);
        var (from, best, logQ) = (CudaProgram.Address(logits), CudaProgram.Address(_best), CudaProgram.Address(_logQ));
        var ranked = stackalloc void*[] { &from, &vocabulary, &top, &best, &logQ };
        CudaProgram.Launch(_program.Find("rank", 0), rows, RankThreads, Kind, ranked);

        var children = _level + 1 < _levels ? Ints(_batch * top, RowDescriptions.Ints) : null;
        var level = new Level
        {
            Best = best, LogQ = logQ, Ids = _ids, Nodes = CudaProgram.Address(_nodes), Beam = CudaProgram.Address(_beam),
            Parents = CudaProgram.Address(parents), Children = children is null ? 0 : CudaProgram.Address(children),
            Width = rows / _batch, Top = top, First = NodesOf(top, _level), Most = (int)_nodes.shape[1], Drafted = _level * top,
        };
        var grown = stackalloc void*[] { &level };
        CudaProgram.Launch(_program.Find("grow", 0), _batch, GrowThreads, Kind, grown);
        _level++;
        GC.KeepAlive(logits);
        return children;
    }

    /// <summary>The likeliest nodes of each sequence.</summary>
    /// <param name="number">The largest number of nodes that stay, N.</param>
    /// <returns>
    /// [B,N+1,3] int32. First the number of nodes that stay, and whether a score is no number; then the token of each, the place of its
    /// parent among them (-1 for the root), and the bits of the head's log-probability as fp32.
    /// </returns>
    public Tensor Keep(int number)
    {
        var draft = Ints(_batch, number + 1, 3);
        var (nodes, count, to) = (CudaProgram.Address(_nodes), (int)_nodes.shape[1], CudaProgram.Address(draft));
        var arguments = stackalloc void*[] { &nodes, &count, &count, &number, &to };
        CudaProgram.Launch(_program.Find("keep", 0), _batch, KeepThreads, Kind, arguments);
        return draft;
    }

    private LaunchKind Kind => _program.Overlaps ? LaunchKind.Overlapping : LaunchKind.Ordinary;

    private static int NodesOf(int top, int levels) => levels == 0 ? 0 : top + (levels - 1) * top * top;

    private Tensor Ints(params long[] shape) => empty(shape, ScalarType.Int32, _device);

    // Level of DraftTree.cu.
    [StructLayout(LayoutKind.Sequential)]
    private struct Level
    {
        public IntPtr Best;
        public IntPtr LogQ;
        public IntPtr Ids;
        public IntPtr Nodes;
        public IntPtr Beam;
        public IntPtr Parents;
        public IntPtr Children;
        public int Width;
        public int Top;
        public int First;
        public int Most;
        public int Drafted;
    }
}
