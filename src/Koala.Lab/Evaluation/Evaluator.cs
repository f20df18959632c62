using Koala.Lab.Data;
using Koala.Lab.Drafting;
using Koala.Lab.Targets;

namespace Koala.Lab.Evaluation;

/// <summary>Measures a head, or another drafter, against its target alone: the same prompts, in one process, in turn, by the same loop and the same step.</summary>
public static class Evaluator
{
    /// <param name="target">The target.</param>
    /// <param name="source">A head made for it, or what drafts in its place.</param>
    /// <param name="name">What the report calls it.</param>
    /// <param name="prompts">Those that do not fit the context are counted and left out.</param>
    /// <param name="options">Null: the defaults.</param>
    /// <param name="progress">Told after every group of prompts that are answered side by side.</param>
    /// <param name="cancel">Looked at between rounds.</param>
    /// <exception cref="KoalaException">An option is out of range, or no prompt is left to measure.</exception>
    public static EvaluationReport Run(Target target, IDraftSource source, string name, IReadOnlyList<Prompt> prompts, EvaluationOptions? options = null,
        IProgress<EvaluationProgress>? progress = null, CancellationToken cancel = default)
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
