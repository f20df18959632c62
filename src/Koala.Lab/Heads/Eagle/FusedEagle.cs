using Koala.Lab.Runtime.Cuda;
using Koala.Lab.Targets;
using Koala.Lab.Targets.Fused;
using static TorchSharp.torch;

namespace Koala.Lab.Heads.Eagle;

/// <summary>
/// An EAGLE head in bf16 on a GPU, in the kernels that compute the target (Decoder.cu): a level of a draft takes one short launch for each
/// phase, and a greedy chain needs nothing from the host between its levels.
/// </summary>
/// <remarks>
/// In shapes N is the number of rows, B the number of sequences, D the width and V' the size of the head's vocabulary. All methods launch
/// work that can be captured in a CUDA graph.
/// </remarks>
internal sealed class FusedEagle : IDisposable
{
    private readonly FusedLayers _layers;
    private readonly Tensor _lmHead;        // [V',D]
    private readonly Tensor? _hidden;       // [MostRows,D], what the LM head gets, where the head has a norm of its own
    private readonly Tensor _root;          // [MostRows,D], what a chain continues from
    private readonly Tensor _rootHidden;    // [MostRows,D], and what the LM head gets
    private readonly Tensor? _norms;        // [2,D], the norms of embedding and feature, in EAGLE-3
    private readonly bool _continuesFromNorm;
    private readonly StepArguments _arguments;
    private readonly Lazy<CudaProgram?> _treeKernels = new(TreePlan.Load);

    private FusedEagle(EagleWeights weights, FusedLayers layers, Tensor lmHead, Tensor? ids, Target target)
    {
        (_layers, _lmHead, _continuesFromNorm) = (layers, lmHead, weights.Options.NormOutput);
        _arguments = layers.Arguments;
        _arguments.Embedding = CudaProgram.Address(target.Model.Weights.Embedding);
        _arguments.Ids = ids is null ? 0 : CudaProgram.Address(ids);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Given = layers.Outputs.new_zeros(MostGiven, layers.Outputs.shape[1]).DetachFromDisposeScope();
        _root = zeros_like(layers.Outputs).DetachFromDisposeScope();
        _rootHidden = zeros_like(layers.Outputs).DetachFromDisposeScope();
        if (!weights.Options.IsEagle3)
        {
            _arguments.JoinWeights = CudaProgram.Address(weights["fc"]);
            _arguments.JoinBias = weights.Find("fc.bias") is { } bias ? CudaProgram.Address(bias) : 0;
            return;
        }
        _norms = stack([weights.Layer(0, "input_norm"), weights.Layer(0, "hidden_norm")]).DetachFromDisposeScope();
        _hidden = zeros_like(layers.Outputs).DetachFromDisposeScope();
        _arguments.JoinWeights = CudaProgram.Address(_norms);
        _arguments.NormResidual = weights.Options.NormBeforeResidual ? 1 : 0;
        _arguments.FinalNorm = CudaProgram.Address(weights["norm"]);
        _arguments.Hidden = CudaProgram.Address(_hidden);
    }

    /// <summary>Makes the head's kernels.</summary>
    /// <param name="weights">The head's weights, which live longer than this object.</param>
    /// <param name="lmHead">The rows of the LM head that the head predicts over, [V',D]; they live as long.</param>
    /// <param name="ids">The target's token of each of the head's, [V'] int64; null where they are the same.</param>
    /// <param name="target">The target.</param>
    /// <returns>The kernels; null where they do not serve, as in <see cref="FusedLayers.Create"/>.</returns>
    public static FusedEagle? Create(EagleWeights weights, Tensor lmHead, Tensor? ids, Target target)
    {
        // The kernels know no window of a head's own.
        if (weights["layers.0.qkv"].dtype != target.Dtype || weights.Options.Window is not null) return null;
        var layers = FusedLayers.Create(
            weights.Config with { Layers = weights.Options.Layers },
            weights.Options.IsEagle3 ? LayerInput.NormedPairs : LayerInput.JoinedPairs,
            (layer, name) => weights.Find($"layers.{layer}.{name}"), target.Dtype, target.Device);
        return layers is null ? null : new FusedEagle(weights, layers, lmHead, ids, target);
    }

    /// <summary>The most features of a round that the kernels read at a fixed place.</summary>
    public const int MostGiven = 4 * FusedLayers.MostRows;

    /// <summary>The features of a round's pairs, [MostGiven,D].</summary>
    public Tensor Given { get; }

    /// <summary>Runs pairs of embeddings and features through all layers, for what they leave in the cache.</summary>
    /// <param name="described">The rows (<see cref="RowDescriptions"/>), [N,Ints], N at most <see cref="FusedLayers.MostRows"/>.</param>
    /// <param name="given">The features, [.,D]; the rows say which one is whose.</param>
    /// <param name="longest">At least the most slots that a row attends to.</param>
    /// <param name="cache">The head's cache, which gets the rows' keys and values.</param>
    public void Read(Tensor described, Tensor given, int longest, KeyValueCache cache) =>
        Launch(Step(described, longest, cache) with { Given = CudaProgram.Address(given) }, follows: false);

    /// <summary>The same, with the outputs of all rows.</summary>
    public EagleOutputs Run(Tensor described, Tensor given, int longest, KeyValueCache cache)
    {
        Read(described, given, longest, cache);
        return Copies(_layers.Outputs, _hidden, (int)described.shape[0]);
    }

    /// <summary>Runs the pairs of a round, whose features are <see cref="Given"/>.</summary>
    /// <param name="described">
    /// The rows of the pairs, then a row for each sequence, [N+B,Ints]: it stands at the sequence's last pair and says which of the N rows
    /// that is.
    /// </param>
    /// <param name="batch">B.</param>
    /// <param name="longest">At least the most slots that a row attends to.</param>
    /// <param name="cache">The head's cache.</param>
    /// <returns>The outputs at the last pair of each sequence, [B,D].</returns>
    public EagleOutputs Pairs(Tensor described, int batch, int longest, KeyValueCache cache)
    {
        using var scope = NewDisposeScope();
        Begin(described.clone(), batch, longest, cache);
        var outputs = Copies(_root, _hidden is null ? null : _rootHidden, batch);
        foreach (var tensor in outputs.Tensors) tensor.MoveToOuterDisposeScope();
        return outputs;
    }

    /// <summary>Runs the pairs of a round, then drafts a chain of the head's best tokens for each sequence.</summary>
    /// <param name="described">As for <see cref="Pairs"/>. Each level of a chain moves the row of its sequence on by one slot.</param>
    /// <param name="batch">B.</param>
    /// <param name="length">The number of tokens of a chain.</param>
    /// <param name="longest">At least the most slots that a row attends to.</param>
    /// <param name="cache">The head's cache.</param>
    /// <returns>The tokens, [length,B], as <see cref="BestKey"/> reads them.</returns>
    public Tensor Chain(Tensor described, int batch, int length, int longest, KeyValueCache cache)
    {
        using var scope = NewDisposeScope();
        var keys = zeros(length, batch, ScalarType.Int64, described.device);
        IntPtr Keys(int depth) => CudaProgram.Address(keys) + depth * batch * sizeof(long);
        var rows = Begin(described.clone(), batch, longest, cache);
        var step = Step(rows, longest, cache) with { Given = CudaProgram.Address(_root) };
        _layers.Best(_lmHead, CudaProgram.Address(_rootHidden), batch, Keys(0), follows: true);
        for (var depth = 1; depth < length; depth++)
        {
            Launch(step with { Chosen = Keys(depth - 1) }, follows: true);
            _layers.Best(_lmHead, CudaProgram.Address(_hidden ?? _layers.Outputs), batch, Keys(depth), follows: true);
            step.Given = CudaProgram.Address(Continued);
        }
        return keys.MoveToOuterDisposeScope();
    }

    /// <summary>Whether <see cref="Tree"/> drafts trees of these sizes.</summary>
    public bool DraftsTrees(int batch, int top, int levels) =>
        TreePlan.Fits(batch, top, levels, (int)_lmHead.shape[0]) && _treeKernels.Value is not null;

    /// <summary>Runs the pairs of a round, then drafts a tree of the head's likeliest tokens for each sequence.</summary>
    /// <param name="described">As for <see cref="Pairs"/>. The slots behind a sequence's last pair get its candidates.</param>
    /// <param name="batch">B.</param>
    /// <param name="tree">The nodes that are expanded per level and the children of each, the levels, and the nodes of the draft.</param>
    /// <param name="longest">At least the most slots that a row attends to.</param>
    /// <param name="cache">The head's cache.</param>
    /// <returns>The trees, as <see cref="TreePlan.Keep"/> returns them.</returns>
    public Tensor Tree(Tensor described, int batch, (int Top, int Levels, int Nodes) tree, int longest, KeyValueCache cache)
    {
        using var scope = NewDisposeScope();
        var plan = new TreePlan(_treeKernels.Value!, batch, tree.Top, tree.Levels, _arguments.Ids, described.device);
        var rows = Begin(described.clone(), batch, longest, cache);
        var logits = LevelLogits(_hidden is null ? _root : _rootHidden, batch);
        var given = CudaProgram.Address(_root);
        while (plan.Grow(logits, rows) is { } children)
        {
            Launch(Step(children, longest, cache) with { Given = given }, follows: true);
            logits = LevelLogits(_hidden ?? _layers.Outputs, (int)children.shape[0]);
            (rows, given) = (children, CudaProgram.Address(Continued));
        }
        return plan.Keep(tree.Nodes).MoveToOuterDisposeScope();
    }

    /// <summary>Logits over the head's vocabulary, [N,V'], from what its LM head gets, [N,D].</summary>
    public Tensor Logits(Tensor beforeLmHead) => _layers.Linear(_lmHead, beforeLmHead);

    public void Dispose()
    {
        _layers.Dispose();
        foreach (var tensor in (Tensor?[])[Given, _root, _rootHidden, _hidden, _norms]) tensor?.Dispose();
    }

    private Tensor LevelLogits(Tensor beforeLmHead, int count) => _layers.Linear(_lmHead, beforeLmHead.narrow(0, 0, count), follows: true);

    private Tensor Continued => _continuesFromNorm ? _hidden! : _layers.Outputs;

    // Runs the pairs and picks the root of each sequence. Returns the rows of the sequences, which are written to.
    private Tensor Begin(Tensor described, int batch, int longest, KeyValueCache cache)
    {
        var pairs = (int)described.shape[0] - batch;
        Read(described.narrow(0, 0, pairs), Given, longest, cache);
        var rows = described.narrow(0, pairs, batch);
        _layers.Pick(CudaProgram.Address(rows), batch,
            (CudaProgram.Address(Continued), CudaProgram.Address(_hidden ?? _layers.Outputs)),
            (CudaProgram.Address(_root), CudaProgram.Address(_rootHidden)));
        return rows;
    }

    // The next step overwrites the workspace.
    private EagleOutputs Copies(Tensor outputs, Tensor? hidden, int count)
    {
        Tensor Copy(Tensor workspace) => workspace.narrow(0, 0, count).clone();
        if (hidden is not null && !_continuesFromNorm) return new EagleOutputs(Copy(outputs), Copy(hidden));
        var both = Copy(hidden ?? outputs);
        return new EagleOutputs(both, both);
    }

    private StepArguments Step(Tensor described, int longest, KeyValueCache cache) => _arguments with
    {
        Rows = CudaProgram.Address(described), Caches = CudaProgram.Address(cache.Addresses),
        Count = (int)described.shape[0], Capacity = cache.Capacity, Longest = longest,
    };

    // The final norm is that of the head, where it has one.
    private void Launch(StepArguments step, bool follows) =>
        _layers.Launch(step, StepForm.Fused, 0, _hidden is null ? _layers.Phases - 1 : _layers.Phases, follows);
}
