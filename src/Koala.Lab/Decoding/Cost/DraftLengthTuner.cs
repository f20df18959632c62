using Koala.Lab.Decoding.Trace;
using Koala.Lab.Drafting;
using Koala.Lab.Targets;

namespace Koala.Lab.Decoding.Cost;

/// <summary>
/// Chooses the draft for this device: the length of the chain that gives the most tokens per second, or a tree that gives more. The tuner
/// drafts rounds that are as long as possible, of which a shorter chain would have accepted the beginning, and measures what rounds of
/// each length cost. Then it tries those trees that could be faster (<see cref="TreeTrials"/>).
/// </summary>
public static class DraftLengthTuner
{
    /// <summary>The longest chain that is tried.</summary>
    public const int Longest = 10;

    /// <summary>The time that the decoder and <c>koala generate</c> take to choose.</summary>
    public static TimeSpan Budget { get; } = TimeSpan.FromSeconds(0.4);

    // The answers are short, because only their rounds are needed.
    private const int Tokens = 24;

    // A single answer may be all code or all prose.
    private const int FewestGroups = 3;

    /// <summary>
    /// Measures rounds and chooses. One part of the time is for rounds, one for costs, and one for trees where the source drafts them. Each
    /// takes at least what it needs: a few short answers, and three rounds of each draft.
    /// </summary>
    /// <param name="target">The target.</param>
    /// <param name="source">The draft source.</param>
    /// <param name="prompts">
    /// The batches of prompts as they will be answered. They are answered in order until the time is up, but at least three of them, or
    /// all
    /// where there are fewer.
    /// </param>
    /// <param name="options">How answers are generated; its tree and its draft length are ignored.</param>
    /// <param name="budget">The approximate time in all.</param>
    /// <param name="limits">How much other work on the machine is tolerated; null means the defaults.</param>
    /// <param name="cancel">Checked between rounds.</param>
    /// <returns>The choice, and the costs of the chosen tree or of chains up to the longest.</returns>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static (DraftLengthChoice Choice, StepCost Cost) Measure(
        Target target, IDraftSource source, IEnumerable<IReadOnlyList<IReadOnlyList<int>>> prompts, GenerationOptions options,
        TimeSpan budget, DisturbanceLimits? limits = null, CancellationToken cancel = default)
    {
        var longest = Math.Min(source.MaxDraftLength, Longest);
        // A confidence ends chains; it has no meaning for a tree.
        var triesTrees = source.DraftsTrees && options is { ChooseTrees: true, ConfidenceThreshold: 0 };
        var part = budget / (triesTrees ? 3 : 2);
        using var decoder = new SpeculativeDecoder(target, source) { ChooseDraftLength = false };
        var answered = new List<AnsweredGroup>();
        var start = TimeProvider.System.GetTimestamp();
        var trial = options with { Tree = null, DraftLength = longest, MaxTokens = Math.Min(options.MaxTokens, Tokens), FullTrace = false };
        foreach (var group in prompts)
        {
            answered.Add(new AnsweredGroup(group, [.. decoder.GenerateAll(group, trial, cancel: cancel).SelectMany(a => a.Rounds)]));
            if (answered.Count >= FewestGroups && TimeProvider.System.GetElapsedTime(start) > part) break;
        }
        var batch = answered.Select(group => group.Prompts.Count).Append(1).Max();
        var chains = StepCost.TreesUpTo(SpeculativeDecoder.TreeFor(source, trial));
        var cost = StepCost.Measure(target, source, chains, trial, batch, part, cancel);
        var choice = Choose(cost, [.. answered.SelectMany(group => group.Rounds)], longest);
        var seen = Disturbances.OfCost(cost, limits ??= new DisturbanceLimits());
        if (triesTrees && double.IsFinite(choice.Speedup))
        {
            var trials = new TreeTrials(source, answered, choice, cost);
            var hopeful = trials.Hopeful();
            var costOfTrees = hopeful.Count == 0
                ? cost with { Trees = [] }
                : StepCost.Measure(target, source, hopeful, trial, batch, part / 2, cancel);
            if (hopeful.Count > 0) seen = seen.Concat(Disturbances.OfCost(costOfTrees, limits));
            choice = trials.Run(decoder, costOfTrees, trial, FewestGroups, part / 2, cancel);
            if (choice.Tree is { } tree) cost = costOfTrees with { Trees = [.. costOfTrees.Trees.Where(of => of.Tree == tree)] };
        }
        string[] disturbances = [.. seen];
        return (disturbances.Length == 0 ? choice : choice with { Speedup = double.NaN, Disturbances = disturbances }, cost);
    }

    /// <summary>Chooses the length that would have given the most tokens per second.</summary>
    /// <param name="cost">The cost of rounds up to the longest.</param>
    /// <param name="rounds">Rounds whose chains are as long as possible. If there are none, the longest chain is chosen.</param>
    /// <param name="longest">The longest chain that may be chosen.</param>
    public static DraftLengthChoice Choose(StepCost cost, IReadOnlyList<Round> rounds, int longest)
    {
        if (rounds.Count == 0) return new DraftLengthChoice(longest, double.NaN);
        DraftCandidate[] chains = [.. Enumerable.Range(1, longest).Select(length => DraftCandidate.OfChain(length, cost, rounds))];
        var best = chains.MaxBy(chain => chain.Speedup)!;
        return new DraftLengthChoice(best.Tree.Depth, best.Speedup) { Candidates = chains };
    }
}

/// <summary>A batch of prompts that was answered with the longest chains, and the rounds of its answers.</summary>
internal sealed record AnsweredGroup(IReadOnlyList<IReadOnlyList<int>> Prompts, IReadOnlyList<Round> Rounds);
