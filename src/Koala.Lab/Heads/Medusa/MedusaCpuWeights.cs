using Koala.Lab.Kernels;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Heads.Medusa;

/// <summary>The weights of Medusa heads, packed for a CPU, and their logits.</summary>
/// <remarks>n is the number of heads, N the number of positions, D the width.</remarks>
internal sealed unsafe class MedusaCpuWeights : IDisposable
{
    private readonly MedusaOptions _options;
    private readonly PanelMatrix[][] _blocks;     // K (1 if blocks are tied) of n matrices [D,D]
    private readonly NativeBuffer[] _biases;      // K (1 if blocks are tied) of [n,D]
    private readonly PanelMatrix[] _lmHeads;      // n of [V,D]; empty if the heads share the target's LM head
    private readonly NativeBuffer _ones;          // [D]

    public MedusaCpuWeights(MedusaOptions options, Tensor[] weights, Tensor[] biases, Tensor? lmHeads)
    {
        using var scope = NewDisposeScope();
        var crew = CpuDecoder.Crew;
        PanelMatrix[] Stack(Tensor stack) => [.. Enumerable.Range(0, options.Heads).Select(h => PackedTensor.Matrix(stack[h], crew))];
        _options = options;
        _blocks = [.. weights.Select(Stack)];
        _biases = [.. biases.Select(PackedTensor.Row)];
        _lmHeads = lmHeads is null ? [] : Stack(lmHeads);
        _ones = PackedTensor.Row(ones(weights[0].shape[^1]));
    }

    /// <summary>Logits of the first heads; see <see cref="MedusaHead.Logits"/>.</summary>
    /// <param name="features">The target's hidden states, [N,D].</param>
    /// <param name="cpu">The target.</param>
    /// <param name="heads">The number of heads.</param>
    /// <returns>The logits, [heads,N,V].</returns>
    public Tensor Logits(Tensor features, CpuTarget cpu, int heads)
    {
        using var scope = NewDisposeScope();
        var hidden = features.detach().expand(heads, -1, -1).clone();                        // [n,N,D]
        var (count, width) = ((int)features.shape[0], (int)features.shape[1]);
        var change = HostMemory.Floats(empty(count, width));
        for (var h = 0; h < heads; h++)
        {
            var x = HostMemory.Floats(hidden) + (long)h * count * width;
            for (var k = 0; k < _options.Layers; k++) Block(_options.Tied ? 0 : k, h, x, count, width, change, cpu.Decoder);
        }
        if (_lmHeads.Length == 0) return cpu.Decoder.Multiply(cpu.LmHead, hidden).MoveToOuterDisposeScope();
        return stack([.. _lmHeads.Take(heads).Select((lmHead, h) => cpu.Decoder.Multiply(lmHead, hidden[h]))]).MoveToOuterDisposeScope();
    }

    public void Dispose()
    {
        foreach (var matrix in _blocks.SelectMany(block => block).Concat(_lmHeads)) matrix.Dispose();
        foreach (var bias in _biases) bias.Dispose();
        _ones.Dispose();
    }

    // x += SiLU(Wx + b).
    private void Block(int block, int head, float* x, int count, int width, float* change, CpuDecoder decoder)
    {
        decoder.Multiply(_blocks[block][head], x, count, change);
        for (var row = 0; row < count; row++)
        {
            var (at, offset) = ((long)row * width, (long)head * width);
            RowKernels.Add(change + at, _biases[block].Floats + offset, width);
            RowKernels.Gate(change + at, _ones.Floats, width, change + at);
            RowKernels.Add(x + at, change + at, width);
        }
    }
}
