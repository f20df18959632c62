using Koala.Lab.Checkpoints;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Heads.Medusa;

/// <summary>Medusa's published tensor names: <c>{h}.{k}.linear.weight</c>, <c>{h}.{k}.linear.bias</c>, and <c>{h}.{K}.weight</c> for a head's own LM head.</summary>
/// <remarks>After FasterDecoding/Medusa's medusa_lm_head files. Tied blocks are stored K times, as there.</remarks>
internal static class MedusaStateDict
{
    public static MedusaHead Read(ITensorSource source, MedusaOptions options, TargetIdentity target, ScalarType dtype, Device device)
    {
        using var scope = NewDisposeScope();
        TensorCheck.Check(source, Expected(options, target));
        var blocks = options.Tied ? 1 : options.Layers;
        Tensor Stack(Func<int, string> name) =>
            stack(Enumerable.Range(0, options.Heads).Select(h => source.Read(name(h), dtype, device)), 0).DetachFromDisposeScope();
        return new MedusaHead(options, target,
            Enumerable.Range(0, blocks).Select(k => Stack(h => $"{h}.{k}.linear.weight")).ToArray(),
            Enumerable.Range(0, blocks).Select(k => Stack(h => $"{h}.{k}.linear.bias")).ToArray(),
            options.OwnLmHeads ? Stack(h => $"{h}.{options.Layers}.weight") : null);
    }

    /// <summary>The tensors of a head's file: views, which the caller disposes.</summary>
    /// <param name="options">Kind and sizes of the head.</param>
    /// <param name="weights">K, or one where blocks are tied, of [n,D,D].</param>
    /// <param name="biases">As many of [n,D].</param>
    /// <param name="lmHeads">[n,V,D]; null where the heads share the target's.</param>
    public static StateDict Create(MedusaOptions options, Tensor[] weights, Tensor[] biases, Tensor? lmHeads)
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
        return shapes;
    }
}
