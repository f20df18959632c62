using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Koala.Lab.Runtime.Cuda;
using Koala.Lab.Runtime.Files;
using TorchSharp;

namespace Koala.Lab.Targets.Fused;

/// <summary>Moves the keys and values of accepted tokens to their places in a cache on a GPU, in one launch (Cache.cu).</summary>
internal static unsafe class CacheMoves
{
    // Numbers of Cache.cu.
    private const int MostMoves = 256;
    private const int PieceBytes = 16;
    private const int WarpThreads = 32;
    private const int MostWarps = 32;

    // The kernel of each GPU; null where CudaProgram.Load returns null.
    private static readonly ConcurrentDictionary<int, CudaProgram?> s_programs = [];

    /// <summary>Moves tokens, where the kernel serves: on a GPU, where it can run, and if a head's numbers fill whole pieces.</summary>
    /// <param name="cache">The cache.</param>
    /// <param name="heads">The heads of each layer's keys.</param>
    /// <param name="moves">The sequence of each token and its slots, in the order of the slots for each sequence.</param>
    /// <returns>Whether the tokens are moved.</returns>
    public static bool TryMove(KeyValueCache cache, int heads, IReadOnlyList<(int Sequence, int From, int To)> moves)
    {
        if (cache.Device.type != DeviceType.CUDA || HeadBytes(cache) % PieceBytes != 0) return false;
        if (s_programs.GetOrAdd(cache.Device.index, _ => Load()) is not { } program) return false;
        var kernel = program.Find("move", 0);
        var (addresses, capacity, pieces) = (CudaProgram.Address(cache.Addresses), cache.Capacity, (int)(HeadBytes(cache) / PieceBytes));
        Moves batch;
        var arguments = stackalloc void*[] { &addresses, &heads, &capacity, &pieces, &batch };
        var threads = Math.Min(cache.Batch, MostWarps) * WarpThreads;
        for (var start = 0; start < moves.Count; start += MostMoves)
        {
            batch.Count = Math.Min(MostMoves, moves.Count - start);
            for (var i = 0; i < batch.Count; i++)
                (batch.Sequences[i], batch.From[i], batch.To[i]) = moves[start + i];
            CudaProgram.Launch(kernel, cache.Keys.Length * 2 * heads, threads, LaunchKind.Ordinary, arguments);
        }
        return true;
    }

    private static CudaProgram? Load() => CudaProgram.Load("Cache.cu", EmbeddedFile.Read("Cache.cu"), [[]])?[0];

    private static long HeadBytes(KeyValueCache cache) => cache.Keys[0].shape[1] * cache.Keys[0].element_size();

    // Moves of Cache.cu.
    [StructLayout(LayoutKind.Sequential)]
    private struct Moves
    {
        public int Count;
        public fixed int Sequences[MostMoves];
        public fixed int From[MostMoves];
        public fixed int To[MostMoves];
    }
}
