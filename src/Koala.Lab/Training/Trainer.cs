using Koala.Lab.Adversary;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Learning;
using Koala.Lab.Runtime;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Training;

/// <summary>
/// Trains a draft head on its target's output with the supervised loss and, optionally, the adversarial loss.
/// </summary>
/// <remarks>
/// The target runs once per batch, without gradients. If the adversary's weight is 0, there is no adversary at all, so
/// the run is bit-identical to a run without one. <see cref="TrainingRun"/> keeps a run on disk.
/// </remarks>
public sealed class Trainer : IDisposable
{
    private readonly Target _target;
    private readonly DraftHead _head;
    private readonly TrainingData _data;
    private readonly TrainingOptions _options;
    private readonly SupervisedLoss _loss;
    private readonly HeldOutMeasurement _heldOut;
    private readonly AdamW _optimizer;
    private readonly AdversarialGame? _adversary;
    private readonly AdamW? _adversaryOptimizer;
    private readonly KeyValueCache _cache;
    private readonly TrainerState _state;

    /// <param name="target">The target of the head. The caller owns it.</param>
    /// <param name="head">
    /// A new head in fp32. The caller owns it. Training changes its weights only. A head with a draft vocabulary must
    /// have chosen it before (<see cref="DraftHead.ChooseVocabulary"/>), since the adversary is made for this
    /// vocabulary.
    /// </param>
    /// <param name="data">The training data.</param>
    /// <param name="options">The options. The constructor checks them.</param>
    /// <exception cref="KoalaException">An option is out of range.</exception>
    public Trainer(Target target, DraftHead head, TrainingData data, TrainingOptions options)
    {
        options.Validate();
        options.CheckFor(head.Options);
        _target = target;
        _head = head;
        _data = data;
        _options = options;
        _loss = new SupervisedLoss(options.Losses, options.FirstErrorFocus);
        _heldOut = new HeldOutMeasurement(target, data, options);
        _optimizer = new AdamW(head.Parameters, options.Beta1, options.Beta2, options.WeightDecay, ConfidenceOutput.Owns);
        if (options.Adversary.Weight > 0)
        {
            // A head that reads its own output is trained over the steps of the training-time test.
            var depths = head.Options.PredictsFeatures ? options.TrainingTimeTest : head.MaxDraftLength;
            _adversary = new AdversarialGame(options.Adversary, head, target, depths, options.Seed);
            // A first decay rate of 0.5 is common practice for adversaries, whose gradients often change direction.
            _adversaryOptimizer = new AdamW(_adversary.Discriminator.Parameters, beta1: 0.5, beta2: 0.999, weightDecay: 0);
        }
        _cache = target.NewCache(options.Batch, data.RowLength);
        _state = new TrainerState(_optimizer, _adversaryOptimizer, _adversary?.State);
    }

    /// <summary>The number of steps done.</summary>
    public int StepsDone => _state.Step;

    /// <summary>Trains until all steps of the options are done.</summary>
    /// <param name="onStep">This is called after every step with its metrics.</param>
    /// <param name="save">
    /// This is called when the state is due to be saved, and when training is cancelled or fails; see
    /// <see cref="SaveState"/>.
    /// </param>
    /// <param name="cancel">The trainer checks this token between steps.</param>
    /// <exception cref="KoalaException">A loss is not finite. The state is that of the last good step.</exception>
    /// <exception cref="OperationCanceledException">Training was cancelled. The state is saved.</exception>
    public void Run(Action<StepMetrics> onStep, Action save, CancellationToken cancel = default)
    {
        cancel = CellInterrupt.Or(cancel);
        var start = TimeProvider.System.GetTimestamp();
        var secondsBefore = _state.Seconds;
        while (_state.Step < _options.Steps)
        {
            if (cancel.IsCancellationRequested)
            {
                save();
                cancel.ThrowIfCancellationRequested();
            }
            if (Step() is not { } metrics)
            {
                save();
                throw new KoalaException($"step {_state.Step + 1}",
                    "a loss is not finite; the state before this step is saved, but training would fail at the same step again",
                    $"start a new run with a lower {new OptionName(nameof(_options.LearningRate))} or "
                    + $"{new OptionName(AdversaryOptions.WeightOption)}");
            }
            _state.Seconds = secondsBefore + TimeProvider.System.GetElapsedTime(start).TotalSeconds;
            metrics = metrics with { Seconds = _state.Seconds };
            var last = _state.Step == _options.Steps;
            if (last || _state.Step % _options.ValidateEvery == 0) metrics = Validate(metrics);
            onStep(metrics);
            if (last || _state.Step % _options.SaveEvery == 0) save();
        }
    }

    /// <summary>
    /// The held-out accuracy by depth: how often the head's best token is the target's best token, which is the label
    /// of greedy decoding. NaN for depths that no answer is long enough for.
    /// </summary>
    public IReadOnlyList<double> Validate() => _heldOut.Measure(_head, _cache).Accuracy;

    /// <summary>Writes everything that a resumed run needs into a folder: weights, optimizers and step.</summary>
    /// <remarks>The order of the data and the schedules follow from the step.</remarks>
    public void SaveState(string folder) => _state.Save(folder);

    /// <summary>Continues from a folder that <see cref="SaveState"/> wrote.</summary>
    /// <exception cref="KoalaException">The state in the folder belongs to another head or optimizer.</exception>
    public void LoadState(string folder) => _state.Load(folder);

    /// <inheritdoc/>
    public void Dispose()
    {
        _optimizer.Dispose();
        _adversaryOptimizer?.Dispose();
        _adversary?.Dispose();
        _cache.Dispose();
    }

    private StepMetrics Validate(StepMetrics metrics)
    {
        var (accuracy, teacherForced, freeRunning) = _heldOut.Measure(_head, _cache);
        return metrics with
        {
            ValidationAccuracy = accuracy, ValidationTauTeacherForced = teacherForced, ValidationTauFreeRunning = freeRunning,
        };
    }

    // Returns null if a loss is not finite. Nothing has then been changed.
    private StepMetrics? Step()
    {
        using var scope = NewDisposeScope();
        var rows = _data.Batch(_state.Step, _options.Batch, _options.Seed);
        using var batch = new TrainingBatch(_target, _cache, rows, _head.FeatureLayers)
        {
            TrainingTimeTestSteps = _options.TrainingTimeTest,
            // The noise uses streams below zero, since the order of the data uses those from zero on.
            Noise = (_options.FeatureNoise, RandomStreams.Create(_options.Seed, -1 - _state.Step).Next()),
        };
        var termsByDepth = DistillationTerms.OfAllDepths(_head.Predict(batch, _target), batch);
        try
        {
            return Learn(termsByDepth, batch.Tokens.numel());
        }
        finally
        {
            foreach (var terms in termsByDepth) terms.Dispose();
        }
    }

    private StepMetrics? Learn(IReadOnlyList<DistillationTerms> termsByDepth, long tokens)
    {
        var (loss, each) = _loss.Compute(termsByDepth);
        var metrics = new StepMetrics { Step = _state.Step + 1, LearningRate = _options.LearningRateAt(_state.Step) };
        var played = _adversary?.Play(termsByDepth, _state.Step);
        if (_adversary is not null && played is not null)
        {
            var (weight, measured) = _adversary.Weigh(played, loss, _state.Step);
            loss = loss + played.HeadLoss * weight;
            metrics = WithGame(metrics, played, weight, measured);
        }
        if (ConfidenceLoss.Compute(termsByDepth) is { } confidence)
        {
            loss = loss + confidence * _options.ConfidenceWeight;
            metrics = metrics with { ConfidenceLoss = confidence.item<float>() };
        }
        _optimizer.ZeroGradients();
        loss.backward();
        var norm = _optimizer.ClipGradients(_options.Clip, _options.ClipBy).item<float>();
        metrics = metrics with { Loss = loss.item<float>(), GradientNorm = norm };
        _adversaryOptimizer?.ZeroGradients();
        played?.DiscriminatorLoss.backward();
        var finite = double.IsFinite(metrics.Loss) && double.IsFinite(norm) && double.IsFinite(metrics.DiscriminatorLoss ?? 0);
        if (!finite) return null;
        metrics = _loss.Report(metrics, each) with { TauSimulated = TauSimulated(termsByDepth) };
        metrics = WithoutPositions(metrics, played);

        _optimizer.Step(metrics.LearningRate);
        if (metrics.DiscriminatorFrozen != true) _adversaryOptimizer?.Step(_options.Adversary.LearningRate);
        _state.Step++;
        _state.Tokens += tokens;
        return metrics with { Tokens = _state.Tokens };
    }

    private StepMetrics WithGame(StepMetrics metrics, GameStep played, double weight, GradientBalance? measured) => metrics with
    {
        AdversarialLoss = played.HeadLoss.item<float>(),
        AdversaryWeight = weight,
        DiscriminatorLoss = played.DiscriminatorLoss.item<float>(),
        DiscriminatorAccuracy = played.Accuracy,
        DiscriminatorScoreOfTarget = played.TargetScore,
        DiscriminatorScoreOfHead = played.HeadScore,
        DiscriminatorFrozen = _adversary!.IsAhead(played),
        SupervisedGradientNorm = measured?.SupervisedNorm,
        AdversarialGradientNorm = measured?.AdversarialNorm,
        GradientCosine = measured?.Cosine,
    };

    private static double TauSimulated(IReadOnlyList<DistillationTerms> termsByDepth)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var accepted = termsByDepth.TakeWhile(terms => terms.Logits.shape[0] > 0)
            .Select(terms => (terms.ReachProbability * terms.AcceptanceProbability).mean()).ToArray();
        return accepted.Length == 0 ? double.NaN : 1 + stack(accepted).sum().item<float>();
    }

    // A mean over no position is zero for the gradients, but it is no measurement.
    private static StepMetrics WithoutPositions(StepMetrics metrics, GameStep? played)
    {
        if (metrics.LossByName.All(loss => double.IsNaN(loss.Value))) metrics = metrics with { Loss = double.NaN };
        return played is null or { Positions: > 0 }
            ? metrics
            : metrics with
            {
                AdversarialLoss = double.NaN, DiscriminatorLoss = double.NaN, DiscriminatorAccuracy = double.NaN,
                DiscriminatorScoreOfTarget = double.NaN, DiscriminatorScoreOfHead = double.NaN,
            };
    }
}
