using Koala.Lab.Checkpoints;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Heads.Medusa;

/// <summary>
/// The published tensor names of Medusa: <c>{h}.{k}.linear.weight</c>, <c>{h}.{k}.linear.bias</c>, and
/// <c>{h}.{K}.weight</c> for a head's own LM head. The Markov bias, which has no published names, is
/// <c>markov.before.weight</c> and <c>markov.after.weight</c>; a confidence output is <c>confidence.weight</c> and <c>confidence.bias</c>.
/// </summary>
/// <remarks>
/// After the medusa_lm_head files of FasterDecoding/Medusa. Tied blocks are stored K times, as they are there.
/// </remarks>
internal static class MedusaStateDict
{
    private const string MarkovBefore = "markov.before.weight";
    private const string MarkovAfter = "markov.after.weight";
    private const string ConfidenceWeight = "confidence.weight";
    private const string ConfidenceBias = "confidence.bias";

    public static MedusaHead Read(ITensorSource source, MedusaOptions options, TargetIdentity target, ScalarType dtype, Device device)
    {
        using var scope = NewDisposeScope();
        TensorCheck.Check(source, Expected(options, target));
        var blocks = options.Tied ? 1 : options.Layers;
        Tensor Stack(Func<int, string> name) =>
            stack(Enumerable.Range(0, options.Heads).Select(h => source.Read(name(h), dtype, device)), 0).DetachFromDisposeScope();
        Tensor Single(string name) => source.Read(name, dtype, device).DetachFromDisposeScope();
        return new MedusaHead(options, target,
            Enumerable.Range(0, blocks).Select(k => Stack(h => $"{h}.{k}.linear.weight")).ToArray(),
            Enumerable.Range(0, blocks).Select(k => Stack(h => $"{h}.{k}.linear.bias")).ToArray(),
            options.OwnLmHeads ? Stack(h => $"{h}.{options.Layers}.weight") : null,
            options.MarkovRank == 0 ? null : new MarkovBias(Single(MarkovBefore), Single(MarkovAfter)),
            options.Confidence ? new ConfidenceOutput(Single(ConfidenceWeight), Single(ConfidenceBias)) : null);
    }

    /// <summary>The tensors of a head's file: views of the weights, which the caller must dispose.</summary>
    /// <param name="options">The sizes of the head.</param>
    /// <param name="weights">The weights of the K blocks, or of the one tied block, each [n,D,D].</param>
    /// <param name="biases">The biases of these blocks, each [n,D].</param>
    /// <param name="lmHeads">The heads' own LM heads, [n,V,D]; null if the heads share the target's.</param>
    /// <param name="markov">The Markov bias; null if there is none.</param>
    /// <param name="confidence">The confidence output of all heads, [n,2,D] and [n,2]; null if there is none.</param>
    public static StateDict Create(
        MedusaOptions options, Tensor[] weights, Tensor[] biases, Tensor? lmHeads, MarkovBias? markov, ConfidenceOutput? confidence)
    {
        var tensors = new List<KeyValuePair<string, Tensor>>();
        for (var h = 0; h < options.Heads; h++)
        {
            for (var k = 0; k < options.Layers; k++)
            {
                var block = options.Tied ? 0 : k;
                tensors.Add(new($"{h}.{k}.linear.weight", weights[block][h]));
                tensors.Add(new($"{h}.{k}.linear.bias", biases[block][h]));
            }
            if (lmHeads is not null) tensors.Add(new($"{h}.{options.Layers}.weight", lmHeads[h]));
        }
        if (markov is not null)
        {
            tensors.Add(new(MarkovBefore, markov.Before.alias()));
            tensors.Add(new(MarkovAfter, markov.After.alias()));
        }
        if (confidence is not null)
        {
            tensors.Add(new(ConfidenceWeight, confidence.Weight.alias()));
            tensors.Add(new(ConfidenceBias, confidence.Bias.alias()));
        }
        return [.. tensors];
    }

    private static Dictionary<string, long[]> Expected(MedusaOptions options, TargetIdentity target)
    {
        var shapes = new Dictionary<string, long[]>();
        for (var h = 0; h < options.Heads; h++)
        {
            for (var k = 0; k < options.Layers; k++)
            {
                shapes[$"{h}.{k}.linear.weight"] = [target.HiddenSize, target.HiddenSize];
                shapes[$"{h}.{k}.linear.bias"] = [target.HiddenSize];
            }
            if (options.OwnLmHeads) shapes[$"{h}.{options.Layers}.weight"] = [target.VocabularySize, target.HiddenSize];
        }
        if (options.Confidence)
        {
            shapes[ConfidenceWeight] = [options.Heads, ConfidenceOutput.Outputs, target.HiddenSize];
            shapes[ConfidenceBias] = [options.Heads, ConfidenceOutput.Outputs];
        }
        if (options.MarkovRank == 0) return shapes;
        foreach (var name in (string[])[MarkovBefore, MarkovAfter]) shapes[name] = [target.VocabularySize, options.MarkovRank];
        return shapes;
    }
}
