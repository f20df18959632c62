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
    /// <param name="progress">Gets a report after every group of prompts.</param>
    /// <param name="cancel">Checked between rounds.</param>
    /// <exception cref="KoalaException">An option is out of range, or no prompt is left to measure.</exception>
    public static EvaluationReport Run(Target target, IDraftSource source, string name, IReadOnlyList<Prompt> prompts,
        EvaluationOptions? options = null, IProgress<EvaluationProgress>? progress = null, CancellationToken cancel = default)
    {
        return RunInTurns(target, [(source, name)], prompts, options, progress, cancel)[0];
    }

    /// <summary>
    /// Measures several drafters in turns: each group of prompts by one after another, so that other work on the machine affects all of
    /// them.
    /// </summary>
    /// <param name="target">The target.</param>
    /// <param name="sources">The drafters and their names in the reports.</param>
    /// <param name="prompts">The prompts. Prompts that do not fit the context are skipped and counted.</param>
    /// <param name="options">The options; null means the defaults.</param>
    /// <param name="progress">Gets a report after every group of prompts.</param>
    /// <param name="cancel">Checked between rounds.</param>
    /// <returns>A report for each drafter.</returns>
    /// <exception cref="KoalaException">An option is out of range, or no prompt is left to measure.</exception>
    public static IReadOnlyList<EvaluationReport> RunInTurns(
        Target target, IReadOnlyList<(IDraftSource Source, string Name)> sources, IReadOnlyList<Prompt> prompts,
        EvaluationOptions? options = null, IProgress<EvaluationProgress>? progress = null, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(sources);
        options ??= new EvaluationOptions();
        options.Validate();
        var runs = new List<EvaluationRun>();
        try
        {
            foreach (var (source, _) in sources) runs.Add(new EvaluationRun(target, source, options, cancel));
            foreach (var run in runs) run.Prepare(prompts);
            var done = 0;
            foreach (var group in PromptGroups.Measured(prompts, options.Batch))
            {
                foreach (var run in runs) run.Measure(group);
                progress?.Report(new EvaluationProgress(done += group.Length, prompts.Count));
            }
            foreach (var run in runs) run.CountAlpha();
            return [.. runs.Zip(sources, (run, source) => run.Report(source.Name))];
        }
        finally
        {
            foreach (var run in runs) run.Dispose();
        }
    }
}
