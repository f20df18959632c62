using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Cost;

namespace Koala.Lab.Evaluation;

/// <summary>The options of an evaluation.</summary>
public sealed record EvaluationOptions
{
    /// <summary>How both sides generate. Default: greedy, 64 tokens.</summary>
    public GenerationOptions Generation { get; init; } = new() { MaxTokens = 64 };

    /// <summary>
    /// Whether all turns of a prompt are asked, each after the target's own answers, or only the first one (the default).
    /// </summary>
    public bool AllTurns { get; init; }

    /// <summary>How often each prompt is measured, with both sides alternating; the median counts. Default 1.</summary>
    public int Repeats { get; init; } = 1;

    /// <summary>
    /// The number of prompts that are answered at once, the same on both sides. All prompts of a batch are of one category. When an answer
    /// ends, the next prompt takes its place. Default 1.
    /// </summary>
    public int Batch { get; init; } = 1;

    /// <summary>
    /// Whether the draft length is chosen for the device (<see cref="DraftLengthTuner"/>) if <see cref="Generation"/> has neither a draft
    /// length nor a tree; otherwise the longest one is used. Default true.
    /// </summary>
    public bool ChooseDraftLength { get; init; } = true;

    /// <summary>How much other work on the machine is tolerated. Beyond it the report has no speeds.</summary>
    public DisturbanceLimits Limits { get; init; } = new();

    internal bool ChoosesDraftLength => ChooseDraftLength && Generation is { DraftLength: null, Tree: null };

    /// <exception cref="KoalaException">An option is out of range.</exception>
    public void Validate()
    {
        if (Repeats < 1) throw KoalaException.ForOption(nameof(Repeats), $"is {Repeats}, but it is at least 1", "set it to 1 or more");
        if (Batch < 1)
            throw KoalaException.ForOption(nameof(Batch), $"is {Batch}, but at least one prompt is answered at a time",
                "set it to 1 or more");
        Generation.Validate();
    }
}
