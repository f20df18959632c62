using System.Text.Json.Serialization;
using Koala.Lab.Adversary;
using Koala.Lab.Heads;
using Koala.Lab.Runtime;
using Koala.Lab.Targets;
using TorchSharp;

namespace Koala.Lab.Training;

/// <summary>Everything a training run was asked for, as run.json keeps it: what resuming it needs.</summary>
public sealed record TrainingPlan
{
    /// <summary>The target's folder.</summary>
    public required string Target { get; init; }

    /// <summary>Conversations to train on.</summary>
    public required string Data { get; init; }

    /// <summary>Conversations held out; null: a part of <see cref="Data"/>.</summary>
    public string? Validation { get; init; }

    /// <summary>Kind and sizes of the head.</summary>
    public required HeadOptions Head { get; init; }

    /// <summary>How it is trained.</summary>
    public TrainingOptions Training { get; init; } = new();

    /// <summary>fp32 or bf16: the target's dtype. The head's weights are fp32 while they are trained.</summary>
    public required string Dtype { get; init; }

    /// <summary>cpu or cuda.</summary>
    public required string Device { get; init; }

    /// <summary>Threads of a CPU operation; sums in other numbers of parts round otherwise, so a resumed run takes the same.</summary>
    public required int Threads { get; init; }

    /// <summary>Whether the same training without the adversary is run after it.</summary>
    public bool WithControl { get; init; }

    /// <summary>What the target was when the run began.</summary>
    public required TargetIdentity TargetIdentity { get; init; }

    /// <summary>Of the data and the tokenizer behind it.</summary>
    public required string DataHash { get; init; }

    /// <summary>The plan of a training from code: what the target and the data say of themselves is filled in.</summary>
    /// <param name="target">Loaded.</param>
    /// <param name="path">The file that <paramref name="data"/> was loaded from.</param>
    /// <param name="data">Loaded.</param>
    /// <param name="head">Kind and sizes of the head.</param>
    /// <param name="training">How it is trained.</param>
    public static TrainingPlan Of(Target target, string path, TrainingData data, HeadOptions head, TrainingOptions training) => new()
    {
        Target = Path.GetFullPath(target.Path),
        Data = Path.GetFullPath(path),
        Head = head,
        Training = training,
        Dtype = Dtypes.Name(target.Dtype),
        Device = Devices.Name(target.Device),
        Threads = torch.get_num_threads(),
        TargetIdentity = target.Identity,
        DataHash = data.Hash,
    };

    /// <exception cref="KoalaException">An option is out of range, or a control is asked for without an adversary.</exception>
    public void Validate()
    {
        Head.Validate();
        Training.Validate();
        Training.CheckFor(Head);
        if (WithControl && Training.Adversary.Weight == 0)
            throw KoalaException.ForOption(nameof(WithControl),
                "trains the pair with and without the adversary, but the adversary's weight is 0",
                $"set {new OptionName(AdversaryOptions.WeightOption)}, to about 0.1, or leave {new OptionName(nameof(WithControl))} out");
    }

    /// <summary>The same training without the adversary: same seed, same data order.</summary>
    [JsonIgnore]
    public TrainingPlan Control => this with { WithControl = false, Training = Training with { Adversary = Training.Adversary with { Weight = 0 } } };
}
