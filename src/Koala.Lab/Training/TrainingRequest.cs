using Koala.Lab.Adversary;
using Koala.Lab.Heads;

namespace Koala.Lab.Training;

/// <summary>What a training is asked for, whatever the target. <see cref="TrainingPlan"/> adds what the target and the data are.</summary>
public record TrainingRequest
{
    /// <summary>The file of conversations to train on.</summary>
    public required string Data { get; init; }

    /// <summary>The file of conversations held out; null: see <see cref="TrainingData.Load"/>.</summary>
    public string? Validation { get; init; }

    /// <summary>Kind and sizes of the head.</summary>
    public required HeadOptions Head { get; init; }

    /// <summary>How it is trained.</summary>
    public TrainingOptions Training { get; init; } = new();

    /// <summary>Whether the same training without the adversary is run after it.</summary>
    public bool WithControl { get; init; }

    /// <summary>Checks all options; the files are not looked at.</summary>
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
}
