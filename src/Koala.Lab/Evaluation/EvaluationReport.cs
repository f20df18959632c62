using System.Text.Json.Serialization;
using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Cost;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Evaluation.Acceptance;
using Koala.Lab.Runtime;

namespace Koala.Lab.Evaluation;

/// <summary>The results of an evaluation. <c>koala evaluate</c> prints this report, also as JSON.</summary>
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

    /// <summary>The acceptance mode. Typical acceptance is lossy: the answers have another distribution than the target's.</summary>
    public AcceptanceMode Acceptance { get; init; }

    /// <summary>The number of tokens that a round drafts one after another; for a tree, its depth.</summary>
    public required int DraftLength { get; init; }

    /// <summary>The draft tree of a round; null in reports that are older than trees.</summary>
    public TreeReport? Tree { get; init; }

    /// <summary>Whether the draft length or the tree was chosen for this device instead of being given.</summary>
    public bool DraftLengthChosen { get; init; }

    /// <summary>
    /// The chains and trees that the draft was chosen from; null if it was given, and in reports that are older than this field.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<CandidateReport>? DraftCandidates { get; init; }

    /// <summary>How often each prompt was measured.</summary>
    public required int Repeats { get; init; }

    /// <summary>The number of answers measured: one per prompt, or with all turns one per turn.</summary>
    public required int Prompts { get; init; }

    /// <summary>The number of prompts that were skipped because they do not fit the context.</summary>
    public required int Skipped { get; init; }

    /// <summary>The number of tokens of the speculative answers.</summary>
    public required long Tokens { get; init; }

    /// <summary>
    /// Whether every answer was the target's own, on a GPU apart from near-ties. Null when sampling, and if nothing was drafted that
    /// could have changed an answer.
    /// </summary>
    public required bool? Lossless { get; init; }

    /// <summary>
    /// The number of answers whose first difference was a near-tie: the target's two best logits within 1e-4. Null when sampling, and on
    /// a CPU, where steps of other sizes compute the same numbers and any difference is a fault.
    /// </summary>
    public required int? NearTies { get; init; }

    /// <summary>The number of answers that were equal token by token. Null when sampling.</summary>
    public required int? EqualAnswers { get; init; }

    /// <summary>How many answers were equal, in words.</summary>
    internal string RenderEqual() =>
        $"{EqualAnswers} of {Prompts} answers equal{(NearTies is null ? "" : $", {NearTies} near-ties")}";

    /// <summary>The acceptance length τ, pooled over all rounds; the interval resamples prompts.</summary>
    public required MeanInterval AcceptanceLength { get; init; }

    /// <summary>The conditional position acceptance α₁, α₂ ….</summary>
    public required IReadOnlyList<double> PositionAcceptance { get; init; }

    /// <summary>
    /// The number of rounds behind each value of <see cref="PositionAcceptance"/>; null in reports that are older than this field.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<int>? PositionRounds { get; init; }

    /// <summary>
    /// 0-alpha, 1-alpha … up to 4-alpha: see <see cref="Acceptance.NAlpha"/>. Empty if the draft source has no distribution.
    /// </summary>
    public IReadOnlyList<double> NAlpha { get; init; } = [];

    /// <summary>The confidence below which a draft was cut; null if none was, and in reports that are older than confidences.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? ConfidenceThreshold { get; init; }

    /// <summary>Whether the head's confidences are right; null for a draft source without them.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Calibration? Calibration { get; init; }

    /// <summary>
    /// The acceptance by the length of the context at the beginning of a round; null in reports that are older than this field.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<ContextBin>? ByContextLength { get; init; }

    /// <summary>For a tree, the acceptance by depth and child rank; null for a chain.</summary>
    public IReadOnlyList<IReadOnlyList<double>>? TreeNodeAcceptance { get; init; }

    /// <summary>
    /// For a tree, the acceptance length that <see cref="TreeNodeAcceptance"/> alone predicts (<see cref="AssumedAcceptance"/>). How far it
    /// is from <see cref="AcceptanceLength"/> is the error of such predictions. Null for a chain, and where a share was never measured. It
    /// follows from other fields, so the report's JSON leaves it out.
    /// </summary>
    [JsonIgnore]
    public double? PredictedAcceptanceLength
    {
        get
        {
            if (TreeNodeAcceptance is not { Count: > 0 } shares) return null;
            if (Tree?.ToTree(shares.Max(depth => depth.Count)) is not { } tree) return null;
            var length = AssumedAcceptance.Of(this, Head).LengthOf(tree);
            return double.IsFinite(length) ? length : null;
        }
    }

    /// <summary>The throughput of the baseline, which is the target without a drafter.</summary>
    public required Throughput Baseline { get; init; }

    /// <summary>The throughput of the target with the head.</summary>
    public required Throughput Speculative { get; init; }

    /// <summary>Baseline seconds per token divided by seconds per token with the head, prompt by prompt.</summary>
    public required MedianInterval Speedup { get; init; }

    /// <summary>The speedup that the cost model predicts: the acceptance length divided by <see cref="BreakEven"/>.</summary>
    public double Predicted { get; init; } = double.NaN;

    /// <summary>
    /// The acceptance length at which the speedup is 1 on this device: the cost of a round of the evaluation divided by that of a baseline
    /// round. The costs are measured apart from the answers.
    /// </summary>
    public double BreakEven { get; init; } = double.NaN;

    /// <summary>
    /// What the memory of this device allows a step of the target; null in reports without speeds, and in those that are older than this
    /// field.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public MemoryFloor? Floor { get; init; }

    /// <summary>The mean times of a round.</summary>
    public required RoundTimes Round { get; init; }

    /// <summary>The figures by category of prompt.</summary>
    public required IReadOnlyList<CategoryReport> ByCategory { get; init; }

    /// <summary>
    /// The answers one by one, which <see cref="ReportFiles"/> keeps in a file of their own; empty in reports that are older than it.
    /// </summary>
    [JsonIgnore]
    public IReadOnlyList<AnswerReport> Answers { get; init; } = [];

    /// <summary>Whether the speedup is distinguishable from 1 on this machine: its interval does not contain 1.</summary>
    [JsonIgnore]
    public bool SpeedupIsClear => Speedup.Low > 1 || Speedup.High < 1;

    /// <summary>The table that the command prints.</summary>
    public override string ToString() => EvaluationTable.Render(this);

    // What was counted stays; what was timed is removed.
    internal EvaluationReport WithoutSpeeds() => this with
    {
        Baseline = Throughput.Unknown,
        Speculative = Throughput.Unknown,
        Speedup = MedianInterval.Unknown,
        Predicted = double.NaN,
        BreakEven = double.NaN,
        Floor = null,
        Round = RoundTimes.Unknown,
        DraftCandidates = DraftCandidates is null ? null
            : [.. DraftCandidates.Select(candidate => candidate with { RoundMs = double.NaN, Speedup = double.NaN })],
        ByCategory = [.. ByCategory.Select(category => category with { Speedup = MedianInterval.Unknown })],
    };
}

/// <summary>A draft tree: its name, the most candidates of a round, and the number of its levels.</summary>
public sealed record TreeReport(string Name, int Nodes, int Depth)
{
    /// <summary>The paths of a static tree; null for other trees, and in reports that are older than this field.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<IReadOnlyList<int>>? Paths { get; init; }

    /// <summary><see cref="DynamicTree.TopK"/>; null for other trees, and in reports that are older than this field.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? TopK { get; init; }

    internal static TreeReport Of(DraftTree tree) => new(tree.Name, tree.Nodes, tree.Depth)
    {
        Paths = (tree as StaticTree)?.Paths,
        TopK = (tree as DynamicTree)?.TopK,
    };

    /// <summary>
    /// The tree with branches that the report is about; null if it is a chain, or a file of which an older report has only the name.
    /// </summary>
    /// <param name="mostRanks">The most child ranks that were seen, which stand for an unknown <see cref="TopK"/>.</param>
    internal DraftTree? ToTree(int mostRanks) => this switch
    {
        { Name: "chain" } => null,
        { Name: "dynamic" } => new DynamicTree { Tokens = Nodes + 1, Levels = Depth, TopK = TopK ?? mostRanks },
        { Paths: { } paths } => new StaticTree(Name, paths),
        _ => StaticTree.Names.Contains(Name) ? StaticTree.Find(Name) : null,
    };
}

/// <summary>A chain or a tree from which the draft was chosen by a short measurement.</summary>
/// <param name="Tree">The chain or the tree.</param>
/// <param name="AcceptanceLength">Tokens per round, the bonus token included; NaN for a tree that was not tried.</param>
/// <param name="RoundMs">The milliseconds of a round; NaN for a tree that was not timed.</param>
/// <param name="Speedup">The speedup that follows; NaN for a tree that was not tried, because it could not be the fastest.</param>
public sealed record CandidateReport(TreeReport Tree, double AcceptanceLength, double RoundMs, double Speedup)
{
    internal static CandidateReport Of(DraftCandidate candidate) =>
        new(TreeReport.Of(candidate.Tree), candidate.AcceptanceLength, candidate.RoundMs, candidate.Speedup);
}

/// <summary>A mean with its bootstrap 95% interval, which is NaN if there are too few prompts for one.</summary>
public sealed record MeanInterval(double Mean, double Low, double High)
{
    /// <summary>
    /// The number of prompts (with a batch size, of groups) behind the figure; an interval needs ten. Null in reports that are older than
    /// this field.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Count { get; init; }
}

/// <summary>A median with its bootstrap 95% interval, which is NaN if there are too few prompts for one.</summary>
public sealed record MedianInterval(double Median, double Low, double High)
{
    internal static MedianInterval Unknown { get; } = new(double.NaN, double.NaN, double.NaN);

    /// <inheritdoc cref="MeanInterval.Count"/>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Count { get; init; }
}

/// <summary>The speed of one side; prefill and the first token are not counted.</summary>
/// <param name="TokensPerSecond">All tokens divided by all seconds.</param>
/// <param name="StepMs">
/// The median milliseconds of a target step of this side: over one token for the baseline, over the root and the draft with a head.
/// </param>
public sealed record Throughput(double TokensPerSecond, double StepMs)
{
    internal static Throughput Unknown { get; } = new(double.NaN, double.NaN);
}

/// <summary>The mean milliseconds of the parts of a round.</summary>
public sealed record RoundTimes(double DraftMs, double VerifyMs, double BookkeepingMs)
{
    internal static RoundTimes Unknown { get; } = new(double.NaN, double.NaN, double.NaN);
}

/// <summary>An evaluation's figures for one category of prompt.</summary>
public sealed record CategoryReport(string Category, int Prompts, MeanInterval AcceptanceLength, MedianInterval Speedup)
{
    /// <summary>The n-alpha of the category: see <see cref="EvaluationReport.NAlpha"/>.</summary>
    public IReadOnlyList<double> NAlpha { get; init; } = [];
}
