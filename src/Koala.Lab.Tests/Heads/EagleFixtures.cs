using Koala.Lab.Heads;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Heads.Learning;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Heads;

/// <summary>EAGLE heads for tests.</summary>
internal static class EagleFixtures
{
    /// <summary>A head whose later layers say something too, unlike a new one's.</summary>
    public static EagleHead Random(Target target, EagleOptions options)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var head = (EagleHead)DraftHead.Create(options, target, seed: 3);
        using var generator = new Generator(7, CPU);
        foreach (var (name, tensor) in head.Parameters)
            if (tensor.dim() == 2) tensor.copy_((rand(tensor.shape, generator: generator) * 2 - 1) * (2 / Math.Sqrt(tensor.shape[1])));
            else tensor.add_((rand(tensor.shape, generator: generator) - 0.5) * 0.2);
        return head;
    }

    /// <summary>Outputs of the training path on koala-nano, one per step, [B·T,D].</summary>
    public static IReadOnlyList<Tensor> Rehearsed(DraftHead head, TrainingBatch batch) => Rehearsed(head, batch, ShippedModels.Nano);

    /// <summary>Outputs of the training path, one per step, [B·T,D].</summary>
    public static IReadOnlyList<Tensor> Rehearsed(DraftHead head, TrainingBatch batch, Target target)
    {
        var weights = head.Parameters.ToDictionary(p => p.Key, p => p.Value);
        return EagleTrainingPass.Outputs(EagleWeights.Create(target.Config, (EagleOptions)head.Options,
            name => weights[name]),
            batch, target);
    }
}
