using Koala.Lab.Data;
using Koala.Lab.Decoding;
using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Evaluation.Acceptance;
using Koala.Lab.Evaluation.Cost;
using Koala.Lab.Targets;

namespace Koala.Lab.Evaluation.TreeFitting;

/// <summary>Fits a static tree to a head's acceptance along the target's own greedy answers, and to what rounds cost on this device.</summary>
/// <remarks>
/// Trees grow by acceptance, once for each depth: where a level costs more than nodes do, as with a head that drafts token after token, a broad tree
/// is faster than a deep one of as many nodes. Rounds are timed for some sizes of each depth; between them cost is in proportion.
/// </remarks>
public static class TreeFit
{
    // With the root they make round numbers of tokens, which are the best bargain.
    private static readonly int[] s_sizes = [1, 3, 7, 15, 23, 31, 47, 63, 95, 127, 191, DraftTree.MaxNodes];

    // Turns of some forty shapes, a few at least, whose medians settle.
    private static readonly TimeSpan s_timing = TimeSpan.FromSeconds(10);

    /// <param name="target">The target.</param>
    /// <param name="source">A head made for it, or another drafter that ranks its choices.</param>
    /// <param name="name">What the report calls it.</param>
    /// <param name="prompts">First turns are answered; those that do not fit the context are counted and left out.</param>
    /// <param name="options">Null: the defaults.</param>
    /// <param name="progress">Told after every group of prompts.</param>
    /// <param name="cancel">Looked at between rounds and places.</param>
    /// <exception cref="KoalaException">
    /// An option is out of range, the drafter ranks nothing, the answers are too few or short to count, or too few paths were ever right for <see cref="TreeFitOptions.Nodes"/>.
    /// </exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static TreeFitReport Run(Target target, IDraftSource source, string name, IReadOnlyList<Prompt> prompts, TreeFitOptions? options = null,
        IProgress<EvaluationProgress>? progress = null, CancellationToken cancel = default)
    {
        options ??= new TreeFitOptions();
        options.Validate();
        var (paths, skipped) = Look(target, source, prompts, options, progress, cancel);
        if (paths.Positions == 0)
            throw new KoalaException("the prompts",
                $"leave no place to look {paths.Depth} tokens ahead ({skipped} of {prompts.Count} skipped: longer than the context)",
                $"give more prompts, or raise {new OptionName(nameof(options.MaxTokens))}");

        var grown = Enumerable.Range(1, paths.Depth).Select(depth => TreeGrowth.Grow(paths, options.Nodes, depth)).ToArray();
        if (grown[^1].Count < (options.By == TreeFitBy.Acceptance ? options.Nodes : 1))
            throw KoalaException.ForOption(nameof(options.Nodes),
                $"is {options.Nodes}, but only {grown[^1].Count} paths were ever right at {paths.Positions} places",
                "lower it, or give more prompts");
        TreeFamily[] families = options.By == TreeFitBy.Acceptance ? [TreeFamily.Complete(grown[^1])]
            : [.. grown.Select((tree, i) => TreeFamily.Create(tree, i + 1, s_sizes)).OfType<TreeFamily>()];
        var chains = TreeFamily.Chains(paths.Depth);
        var cost = StepCost.Measure(target, source, [.. chains.Measured, .. families.SelectMany(family => family.Measured)], budget: s_timing, cancel: cancel);

        FittedTree[] chain = [.. chains.Fit(paths, cost)];
        FittedTree[] trees = [.. families.SelectMany(family => family.Fit(paths, cost))];
        // A chain is a tree too, and may be the fastest.
        if (options.By == TreeFitBy.Speed) trees = [.. trees, .. chain.Where(c => c.Nodes <= options.Nodes)];
        return new TreeFitReport(Circumstances.Create(target, name))
        {
            By = options.By,
            Prompts = paths.Answers.Count,
            Skipped = skipped,
            Positions = paths.Positions,
            Tree = Fastest(trees),
            Chain = Fastest(chain),
            BaselineTokensPerSecond = 1000 / cost.BaselineMs,
            ByNodes = [.. trees.Where(tree => s_sizes.Contains(tree.Nodes)).GroupBy(tree => tree.Nodes).OrderBy(g => g.Key).Select(Fastest)],
        };
    }

    // The target's answers, and how the head ranks them, a group of prompts at a time.
    private static (RankPaths Paths, int Skipped) Look(Target target, IDraftSource source, IReadOnlyList<Prompt> prompts, TreeFitOptions options,
        IProgress<EvaluationProgress>? progress, CancellationToken cancel)
    {
        using var baseline = new SpeculativeDecoder(target);
        var (parts, done) = (new List<RankPaths> { RankPaths.Collect(target, source, [], cancel) }, 0);
        foreach (var group in prompts.Chunk(TeacherForcing.BatchSize))
        {
            IReadOnlyList<int>[] fitting = [.. group.Select(prompt => new Dialogue(target, prompt, allTurns: false).Next()!).Where(ids => ids.Count < target.Config.ContextLength)];
            if (fitting.Length > 0) parts.Add(RankPaths.Collect(target, source, baseline.GenerateAll(fitting, new GenerationOptions { MaxTokens = options.MaxTokens }, cancel: cancel), cancel));
            progress?.Report(new EvaluationProgress(done += group.Length, prompts.Count));
        }
        var paths = parts[0] with { Answers = [.. parts.SelectMany(part => part.Answers)] };
        return (paths, prompts.Count - paths.Answers.Count);
    }

    private static FittedTree Fastest(IEnumerable<FittedTree> trees) => trees.MaxBy(tree => tree.TokensPerSecond)!;
}
