using Koala.Lab.Heads;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Runs;

namespace Koala.Lab.Training;

/// <summary>
/// Ends a run that has gone through all its data, or all its steps, without a position to learn from. Data without any
/// is refused before; here the target's best tokens all lie outside of the draft vocabulary.
/// </summary>
internal sealed class LearningCheck
{
    private readonly DraftHead _head;
    private readonly string _path;
    private readonly int _lastStep;
    private bool _hasLearned;

    /// <param name="head">The head.</param>
    /// <param name="data">The data.</param>
    /// <param name="plan">The plan of the run.</param>
    /// <param name="stepsDone">The number of steps before the run was resumed.</param>
    /// <param name="before">The metrics of these steps. Where lines are lost, what the run has learned is not known.</param>
    public LearningCheck(DraftHead head, TrainingData data, TrainingPlan plan, int stepsDone, IReadOnlyList<MetricsLine> before)
    {
        (_head, _path) = (head, plan.Data);
        _lastStep = Math.Min(plan.Training.Steps, (data.Rows.Count + plan.Training.Batch - 1) / plan.Training.Batch);
        _hasLearned = before.Count < stepsDone
            || before.Any(line => line.Values.TryGetValue("loss", out var loss) && double.IsFinite(loss));
    }

    /// <exception cref="KoalaException">This is the last step that could have had a position to learn from.</exception>
    public void Add(StepMetrics metrics)
    {
        _hasLearned |= double.IsFinite(metrics.Loss);
        if (_hasLearned || metrics.Step < _lastStep) return;
        throw _head.Vocabulary is { } vocabulary
            ? new KoalaException(_path,
                $"gave nothing to learn in {metrics.Step} steps: the target's best token is never one of the {vocabulary.Tokens.Count} "
                + "tokens of the draft vocabulary",
                $"raise {new OptionName(nameof(EagleOptions.DraftVocabulary))}")
            : new KoalaException(_path, $"gave nothing to learn in {metrics.Step} steps: their rows hold no answer of two tokens",
                $"set {new OptionName(nameof(TrainingOptions.Steps))} higher, or give data with more answers");
    }
}
