using System.Text.Json.Serialization;
using Koala.Lab.Decoding;
using Koala.Lab.Runtime;

namespace Koala.Lab.Evaluation;

/// <summary>What an evaluation found. <c>koala evaluate</c> prints it, also as JSON.</summary>
[TypeFormatterSource]
public sealed record EvaluationReport : Circumstances
{
    /// <param name="circumstances">What the report's figures hold for.</param>
    public EvaluationReport(Circumstances circumstances) : base(circumstances)
    {
    }

    [JsonConstructor]
    private EvaluationReport()
    {
    }

    /// <summary>Which candidates are kept; typical is lossy: answers have another distribution than the target's.</summary>
    public AcceptanceMode Acceptance { get; init; }

    /// <summary>Tokens drafted a round, one after another: of a tree, its depth.</summary>
    public required int DraftLength { get; init; }

    /// <summary>What a round's draft looks like; null in reports of before there were trees.</summary>
    public TreeReport? Tree { get; init; }

    /// <summary>Whether the draft length was chosen for this device, and not given.</summary>
    public bool DraftLengthChosen { get; init; }

    /// <summary>Times each prompt was measured.</summary>
    public required int Repeats { get; init; }

    /// <summary>Answers measured: prompts, or with all turns the turns.</summary>
    public required int Prompts { get; init; }

    /// <summary>Prompts left out because they do not fit the context.</summary>
    public required int Skipped { get; init; }

    /// <summary>Tokens of the speculative answers.</summary>
    public required long Tokens { get; init; }

    /// <summary>Whether every answer was the target's own, near-ties apart. Null when sampling.</summary>
    public required bool? Lossless { get; init; }

    /// <summary>Answers whose first difference was a near-tie: the target's two best logits within 1e-4. Null when sampling.</summary>
    public required int? NearTies { get; init; }

    /// <summary>Answers that were equal token for token. Null when sampling.</summary>
    public required int? EqualAnswers { get; init; }

    /// <summary>τ, pooled over all rounds; the interval resamples prompts.</summary>
    public required MeanInterval AcceptanceLength { get; init; }

    /// <summary>α₁, α₂ …, conditional.</summary>
    public required IReadOnlyList<double> PositionAcceptance { get; init; }

    /// <summary>0-alpha, 1-alpha … up to 4-alpha: see <see cref="Acceptance.NAlpha"/>. Empty where what drafts has no distribution.</summary>
    public IReadOnlyList<double> NAlpha { get; init; } = [];

    /// <summary>Of trees, the share that was kept by depth and child rank; null for a chain.</summary>
    public IReadOnlyList<IReadOnlyList<double>>? TreeNodeAcceptance { get; init; }

    /// <summary>The target alone.</summary>
    public required Throughput Baseline { get; init; }

    /// <summary>The target with the head.</summary>
    public required Throughput Speculative { get; init; }

    /// <summary>Seconds a token alone divided by seconds a token with the head, prompt by prompt.</summary>
    public required MedianInterval Speedup { get; init; }

    /// <summary>Speedup by the cost model: acceptance length by <see cref="BreakEven"/>.</summary>
    public double Predicted { get; init; } = double.NaN;

    /// <summary>The acceptance length at which speedup is 1 on this device: the cost of a round as they were drafted by that of the target alone, measured apart from the answers.</summary>
    public double BreakEven { get; init; } = double.NaN;

    /// <summary>Mean times of a round.</summary>
    public required RoundTimes Round { get; init; }

    /// <summary>The same by category of prompt.</summary>
    public required IReadOnlyList<CategoryReport> ByCategory { get; init; }

    /// <summary>Whether this machine can tell the speedup from none: its interval leaves out 1.</summary>
    [JsonIgnore]
    public bool SpeedupIsClear => Speedup.Low > 1 || Speedup.High < 1;

    /// <summary>The table that the command prints.</summary>
    public override string ToString() => EvaluationTable.Render(this);
}

/// <summary>A draft tree: its name, the most candidates of a round, and its levels.</summary>
public sealed record TreeReport(string Name, int Nodes, int Depth);

/// <summary>A mean with its bootstrap 95% interval.</summary>
public sealed record MeanInterval(double Mean, double Low, double High);

/// <summary>A median with its bootstrap 95% interval.</summary>
public sealed record MedianInterval(double Median, double Low, double High);

/// <summary>How fast one side generates; prefill and the first token are not counted.</summary>
/// <param name="TokensPerSecond">All tokens by all seconds.</param>
/// <param name="StepMs">Median milliseconds of a target step as this side takes it: one token alone, root and draft with a head.</param>
public sealed record Throughput(double TokensPerSecond, double StepMs);

/// <summary>Mean milliseconds of a round's parts.</summary>
public sealed record RoundTimes(double DraftMs, double VerifyMs, double BookkeepingMs);

/// <summary>An evaluation's figures for one category of prompt.</summary>
public sealed record CategoryReport(string Category, int Prompts, MeanInterval AcceptanceLength, MedianInterval Speedup)
{
    /// <summary>As <see cref="EvaluationReport.NAlpha"/>.</summary>
    public IReadOnlyList<double> NAlpha { get; init; } = [];
}
