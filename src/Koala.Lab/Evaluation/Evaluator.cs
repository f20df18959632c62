using Koala.Lab.Data;
using Koala.Lab.Drafting;
using Koala.Lab.Targets;

namespace Koala.Lab.Evaluation;

/// <summary>
/// Measures a head, or another drafter, against the baseline. Both sides answer the same prompts alternately, in one process, with the
/// same
/// decoding loop and the same target step.
/// </summary>
public static class Evaluator
{
    /// <param name="target">The target.</param>
    /// <param name="source">A head for this target, or another draft source.</param>
    /// <param name="name">The name of the draft source in the report.</param>
    /// <param name="prompts">The prompts. Prompts that do not fit the context are skipped and counted.</param>
    /// <param name="options">The options; null means the defaults.</param>
    /// <param name="progress">Gets a report after every batch of prompts.</param>
    /// <param name="cancel">Checked between rounds.</param>
    /// <exception cref="KoalaException">An option is out of range, or no prompt is left to measure.</exception>
    public static EvaluationReport Run(Target target, IDraftSource source, string name, IReadOnlyList<Prompt> prompts,
        EvaluationOptions? options = null, IProgress<EvaluationProgress>? progress = null, CancellationToken cancel = default)
    {
        options ??= new EvaluationOptions();
        options.Validate();
        using var run = new EvaluationRun(target, source, options, cancel);
        run.Prepare(prompts);
        var done = 0;
        foreach (var group in PromptGroups.ByCategory(prompts, options.Batch))
        {
            run.Measure(group);
            progress?.Report(new EvaluationProgress(done += group.Length, prompts.Count));
        }
        run.CountAlpha();
        return run.Report(name);
    }
}
