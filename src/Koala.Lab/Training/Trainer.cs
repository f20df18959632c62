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
    // EAGLE's n-alpha goes as far as this: up to the token that is drafted after four drafted tokens.
    private const int ValidationSteps = 5;

    private readonly Target _target;
    private readonly DraftHead _head;
    private readonly TrainingData _data;
    private readonly TrainingOptions _options;
    private readonly SupervisedLoss _loss;
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
        _loss = new SupervisedLoss(options.Losses);
        _optimizer = new AdamW(head.Parameters, options.Beta1, options.Beta2, options.WeightDecay);
        if (options.Adversary.Weight > 0)
        {
            var vocabulary = head.Vocabulary?.Tokens.Count ?? target.Config.VocabularySize;
            _adversary = new AdversarialGame(options.Adversary, vocabulary, options.Seed, target.Device);
            // A first decay rate of 0.5 is common practice for adversaries, whose gradients often change direction.
            _adversaryOptimizer = new AdamW(_adversary.Discriminator.Parameters, beta1: 0.5, beta2: 0.999, weightDecay: 0);
        }
        _cache = target.NewCache(options.Batch, data.RowLength);
        _state = new TrainerState(_optimizer, _adversaryOptimizer);
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
            if (last || _state.Step % _options.ValidateEvery == 0) metrics = metrics with { ValidationAccuracy = Validate() };
            onStep(metrics);
            if (last || _state.Step % _options.SaveEvery == 0) save();
        }
    }

    /// <summary>
    /// The held-out accuracy by depth: how often the head's best token is the target's best token, which is the label
    /// of greedy decoding. NaN for depths that no answer is long enough for.
    /// </summary>
    public IReadOnlyList<double> Validate()
    {
        using var _ = no_grad();
        var correct = new List<double>();     // by depth
        var positions = new List<double>();   // by depth
        foreach (var rows in _data.Validation.Chunk(_options.Batch))
        {
            using var scope = NewDisposeScope();
            // The last chunk may have fewer rows than the cache has sequences.
            using var cache = rows.Length < _options.Batch ? _target.NewCache(rows.Length, _data.RowLength) : null;
            using var batch = new TrainingBatch(_target, cache ?? _cache, rows, _head.FeatureLayers)
            {
                TrainingTimeTestSteps = Math.Max(ValidationSteps, _options.TrainingTimeTest),
            };
            foreach (var output in _head.Predict(batch, _target))
            {
                using var terms = new DistillationTerms(output, batch);
                while (correct.Count <= output.Depth)
                {
                    correct.Add(0);
                    positions.Add(0);
                }
                correct[output.Depth] += terms.Correct.to(ScalarType.Float32).sum().item<float>();
                positions[output.Depth] += output.TargetPositions.shape[0];
            }
        }
        return [.. correct.Zip(positions, (c, n) => c / n)];
    }

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
        var termsByDepth = _head.Predict(batch, _target).Select(output => new DistillationTerms(output, batch)).ToArray();
        try
        {
            return Learn(termsByDepth, batch.Tokens.numel());
        }
        finally
        {
            foreach (var terms in termsByDepth) terms.Dispose();
        }
    }

    private StepMetrics? Learn(DistillationTerms[] termsByDepth, long tokens)
    {
        var (loss, each) = _loss.Compute(termsByDepth);
        var metrics = new StepMetrics { Step = _state.Step + 1, LearningRate = _options.LearningRateAt(_state.Step) };
        if (_adversary is not null)
        {
            var weight = _options.Adversary.WeightAt(_state.Step);
            var adversarial = _adversary.HeadLoss(termsByDepth);
            loss = loss + adversarial * weight;
            metrics = metrics with { AdversarialLoss = adversarial.item<float>(), AdversaryWeight = weight };
        }
        _optimizer.ZeroGradients();
        loss.backward();
        var norm = _optimizer.ClipGradients(_options.Clip, _options.ClipBy).item<float>();
        metrics = metrics with { Loss = loss.item<float>(), GradientNorm = norm };
        if (_adversary is not null) metrics = ComputeDiscriminatorGradients(termsByDepth, metrics);
        var finite = double.IsFinite(metrics.Loss) && double.IsFinite(norm) && double.IsFinite(metrics.DiscriminatorLoss ?? 0);
        if (!finite) return null;
        metrics = WithoutPositions(_loss.Report(metrics, each), termsByDepth);

        _optimizer.Step(metrics.LearningRate);
        _adversaryOptimizer?.Step(_options.Adversary.LearningRate);
        _state.Step++;
        _state.Tokens += tokens;
        return metrics with { Tokens = _state.Tokens };
    }

    // A mean over no position is zero for the gradients, but it is no measurement.
    private StepMetrics WithoutPositions(StepMetrics metrics, DistillationTerms[] termsByDepth)
    {
        if (metrics.LossByName.All(loss => double.IsNaN(loss.Value))) metrics = metrics with { Loss = double.NaN };
        return _adversary is null || termsByDepth.Any(terms => terms.Logits.shape[0] > 0)
            ? metrics
            : metrics with { AdversarialLoss = double.NaN, DiscriminatorLoss = double.NaN, DiscriminatorAccuracy = double.NaN };
    }

    private StepMetrics ComputeDiscriminatorGradients(IReadOnlyList<DistillationTerms> termsByDepth, StepMetrics metrics)
    {
        var (loss, targetAccuracy, headAccuracy) = _adversary!.DiscriminatorLoss(termsByDepth);
        // The backward pass of the head's loss has left gradients in the discriminator too.
        _adversaryOptimizer!.ZeroGradients();
        loss.backward();
        return metrics with
        {
            DiscriminatorLoss = loss.item<float>(),
            DiscriminatorAccuracy = 0.5 * (targetAccuracy.item<float>() + headAccuracy.item<float>()),
        };
    }
}
