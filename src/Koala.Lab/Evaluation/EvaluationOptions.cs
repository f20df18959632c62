using Koala.Lab.Decoding;

namespace Koala.Lab.Evaluation;

/// <summary>What an evaluation generates and how often.</summary>
public sealed record EvaluationOptions
{
    /// <summary>How both sides generate. Default: greedy, 64 tokens.</summary>
    public GenerationOptions Generation { get; init; } = new() { MaxTokens = 64 };

    /// <summary>Whether all turns of a prompt are asked, each after the target's own answers, or the first only (the default).</summary>
    public bool AllTurns { get; init; }

    /// <summary>Times each prompt is measured, both sides in turn; the median counts. Default 1.</summary>
    public int Repeats { get; init; } = 1;

    /// <exception cref="KoalaException">An option is out of range.</exception>
    public void Validate()
    {
        if (Repeats < 1) throw new KoalaException("--repeats", $"is {Repeats}, but it is at least 1", "set it to 1 or more");
        Generation.Validate();
    }
}
