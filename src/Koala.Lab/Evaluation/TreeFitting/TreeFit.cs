using Koala.Lab.Data;
using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Cost;
using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Evaluation.Acceptance;
using Koala.Lab.Targets;

namespace Koala.Lab.Evaluation.TreeFitting;

/// <summary>
/// Fits a static tree to a head's acceptance along the target's own greedy answers and to the cost of rounds on this device.
/// </summary>
/// <remarks>
/// A tree is grown by acceptance for each depth. Where a level costs more than nodes do, as with a head that drafts token by token, a
/// broad
/// tree is faster than a deep tree with the same number of nodes. Rounds are timed for some sizes of each depth; between them the cost is
/// interpolated.
/// </remarks>
public static class TreeFit
{
    // The costs between them are interpolated.
    private static readonly int[] s_sizes = [1, 3, 7, 15, 23, 31, 47, 63, 95, 127, 191, DraftTree.MaxNodes];

    // The time for a few turns over about forty trees, after which the medians are stable.
    private static readonly TimeSpan s_timing = TimeSpan.FromSeconds(10);

    /// <param name="target">The target.</param>
    /// <param name="source">A head for this target, or another drafter that ranks its choices.</param>
    /// <param name="name">The name of the draft source in the report.</param>
    /// <param name="prompts">
    /// The prompts whose first turns are answered. Prompts that do not fit the context are skipped and counted.
    /// </param>
    /// <param name="options">The options; null means the defaults.</param>
    /// <param name="progress">Gets a report after every batch of prompts.</param>
    /// <param name="cancel">Checked between rounds and between positions.</param>
    /// <exception cref="KoalaException">
    /// An option is out of range, the drafter ranks nothing, the answers are too few or too short to count, or fewer paths than
    /// <see cref="TreeFitOptions.Nodes"/> were ever correct.
    /// </exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static TreeFitReport Run(Target target, IDraftSource source, string name, IReadOnlyList<Prompt> prompts,
        TreeFitOptions? options = null, IProgress<EvaluationProgress>? progress = null, CancellationToken cancel = default)
    {
        options ??= new TreeFitOptions();
        options.Validate();
        var (paths, skipped) = CollectPaths(target, source, prompts, options, progress, cancel);
        if (paths.Positions == 0)
            throw new KoalaException("the prompts",
                $"leave no position with {paths.Depth} tokens after it ({skipped} of {prompts.Count} skipped: longer than the context)",
                $"give more prompts, or raise {new OptionName(nameof(options.MaxTokens))}");

        var grown = Enumerable.Range(1, paths.Depth).Select(depth => TreeGrowth.Grow(paths, options.Nodes, depth)).ToArray();
        if (grown[^1].Count < (options.By == TreeFitBy.Acceptance ? options.Nodes : 1))
            throw KoalaException.ForOption(nameof(options.Nodes),
                $"is {options.Nodes}, but only {grown[^1].Count} paths were ever correct at {paths.Positions} positions",
                "lower it, or give more prompts");
        TreeFamily[] families = options.By == TreeFitBy.Acceptance
            ? [TreeFamily.Complete(grown[^1])]
            : [.. grown.Select((tree, i) => TreeFamily.Create(tree, i + 1, s_sizes)).OfType<TreeFamily>()];
        var chains = TreeFamily.Chains(paths.Depth);
        DraftTree[] measured = [.. chains.Measured, .. families.SelectMany(family => family.Measured)];
        var cost = StepCost.Measure(target, source, measured, budget: s_timing, cancel: cancel);

        string[] disturbances = [.. Disturbances.OfCost(cost, options.Limits)];
        FittedTree[] chain = [.. chains.Fit(paths, cost)];
        FittedTree[] trees = [.. families.SelectMany(family => family.Fit(paths, cost))];
        // A chain is also a tree, and it may be the fastest one.
        if (options.By == TreeFitBy.Speed) trees = [.. trees, .. chain.Where(c => c.Nodes <= options.Nodes)];
        var bySize = trees.Where(tree => s_sizes.Contains(tree.Nodes)).GroupBy(tree => tree.Nodes).OrderBy(size => size.Key);
        var report = new TreeFitReport(Circumstances.Create(target, name) with { Load = cost.Load, Disturbances = disturbances })
        {
            By = options.By,
            Prompts = paths.Answers.Count,
            Skipped = skipped,
            Positions = paths.Positions,
            Tree = Fastest(trees),
            Chain = Fastest(chain),
            BaselineTokensPerSecond = 1000 / cost.BaselineMs,
            ByNodes = [.. bySize.Select(Fastest)],
        };
        return disturbances.Length == 0 ? report : report.WithoutSpeeds();
    }

    // Generates the target's answers and lets the head rank their tokens, one group of prompts at a time.
    private static (RankPaths Paths, int Skipped) CollectPaths(Target target, IDraftSource source, IReadOnlyList<Prompt> prompts,
        TreeFitOptions options, IProgress<EvaluationProgress>? progress, CancellationToken cancel)
    {
        using var baseline = new SpeculativeDecoder(target);
        var generation = new GenerationOptions { MaxTokens = options.MaxTokens };
        var parts = new List<RankPaths> { RankPaths.Collect(target, source, [], cancel) };
        var done = 0;
        foreach (var group in prompts.Chunk(TeacherForcing.BatchSize * PromptGroups.PromptsPerPlace))
        {
            var turns = group.Select(prompt => new Dialogue(target, prompt, allTurns: false).Next()!);
            IReadOnlyList<int>[] fitting = [.. turns.Where(ids => ids.Count < target.Config.ContextLength)];
            if (fitting.Length > 0)
            {
                var answers = baseline.GenerateAll(fitting, generation, batch: TeacherForcing.BatchSize, cancel: cancel);
                parts.Add(RankPaths.Collect(target, source, answers, cancel));
            }
            progress?.Report(new EvaluationProgress(done += group.Length, prompts.Count));
        }
        var paths = parts[0] with { Answers = [.. parts.SelectMany(part => part.Answers)] };
        return (paths, prompts.Count - paths.Answers.Count);
    }

    private static FittedTree Fastest(IEnumerable<FittedTree> trees) => trees.MaxBy(tree => tree.TokensPerSecond)!;
}
