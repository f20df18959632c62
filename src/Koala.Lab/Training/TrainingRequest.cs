using Koala.Lab.Adversary;
using Koala.Lab.Heads;

namespace Koala.Lab.Training;

/// <summary>A request for a training run, which does not depend on the target.</summary>
/// <remarks><see cref="TrainingPlan"/> adds the identities of the target and of the data.</remarks>
public record TrainingRequest
{
    /// <summary>The file of conversations for training.</summary>
    public required string Data { get; init; }

    /// <summary>
    /// The file of held-out conversations. For the meaning of null see <see cref="TrainingData.Load"/>.
    /// </summary>
    public string? Validation { get; init; }

    /// <summary>The kind and sizes of the head.</summary>
    public required HeadOptions Head { get; init; }

    /// <summary>How the head is trained.</summary>
    public TrainingOptions Training { get; init; } = new();

    /// <summary>
    /// The controls that run after the training, some of <see cref="TrainingControls.Names"/>: the same training without the
    /// adversary. Default: none of them.
    /// </summary>
    public IReadOnlyList<string> WithControls { get; init; } = [];

    /// <summary>Checks all options. It does not check the files.</summary>
    /// <exception cref="KoalaException">
    /// An option is out of range, or controls are requested without an adversary.
    /// </exception>
    public void Validate()
    {
        Head.Validate();
        Training.Validate();
        Training.CheckFor(Head);
        foreach (var control in WithControls) TrainingControls.Check(control);
        if (WithControls.GroupBy(name => name).FirstOrDefault(same => same.Count() > 1) is { } twice)
            throw KoalaException.ForOption(nameof(WithControls), $"has {twice.Key} twice", "give it once");
        if (WithControls.Count > 0 && Training.Adversary.Weight == 0)
            throw KoalaException.ForOption(nameof(WithControls),
                "trains the same without the adversary, but the adversary's weight is 0",
                $"set {new OptionName(AdversaryOptions.WeightOption)}, to about 0.1, or leave {new OptionName(nameof(WithControls))} out");
    }
}
