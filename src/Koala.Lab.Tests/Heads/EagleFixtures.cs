using Koala.Lab.Heads;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Heads.Learning;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Heads;

/// <summary>EAGLE heads for tests.</summary>
internal static class EagleFixtures
{
    /// <summary>A random head whose later layers have an effect too, unlike those of a new head.</summary>
    public static EagleHead Random(Target target, EagleOptions options)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var head = (EagleHead)DraftHead.Create(options, target, seed: 3);
        using var generator = new Generator(7, CPU);
        foreach (var (name, tensor) in head.Parameters)
            if (tensor.dim() == 2)
                tensor.copy_((rand(tensor.shape, generator: generator) * 2 - 1) * (2 / Math.Sqrt(tensor.shape[1])));
            else tensor.add_(((rand(tensor.shape, generator: generator) - 0.5) * 0.2).to(tensor.device));
        return head;
    }

    /// <summary>The outputs of the training pass on koala-nano, one per step, [B·T,D].</summary>
    public static IReadOnlyList<Tensor> TrainingOutputs(DraftHead head, TrainingBatch batch) =>
        TrainingOutputs(head, batch, ShippedModels.Nano);

    /// <summary>The outputs of the training pass, one per step, [B·T,D].</summary>
    public static IReadOnlyList<Tensor> TrainingOutputs(DraftHead head, TrainingBatch batch, Target target)
    {
        var weights = head.Parameters.ToDictionary(p => p.Key, p => p.Value);
        var eagle = EagleWeights.Create(target.Config, (EagleOptions)head.Options, name => weights[name]);
        return EagleTrainingPass.Outputs(eagle, batch, target, positions => ((EagleHead)head).Rotations(positions, target));
    }
}
