using Koala.Lab.Adversary;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Learning;
using Koala.Lab.Runtime;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Training;

/// <summary>Trains a draft head on what its target says, with the adversary beside the supervised loss where its weight is not zero.</summary>
/// <remarks>
/// The target runs once a batch, without gradients. With weight 0 there is no adversary at all, so such a run is bit-identical to one
/// without. Where a run lives on disk is <see cref="TrainingRun"/>'s business.
/// </remarks>
public sealed class Trainer : IDisposable
{
    // EAGLE's measure looks as far: what is drafted after four tokens of its own.
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

    /// <param name="target">Stays the caller's.</param>
    /// <param name="head">
    /// A new head in fp32; stays the caller's, and nothing but its weights changes, step by step. Where it has a draft vocabulary,
    /// <see cref="DraftHead.ChooseVocabulary"/> comes before this: the adversary is made for that vocabulary.
    /// </param>
    /// <param name="data">Rows of <see cref="TrainingOptions.RowLength"/> tokens.</param>
    /// <param name="options">Checked here.</param>
    /// <exception cref="KoalaException">An option is out of range.</exception>
    public Trainer(Target target, DraftHead head, TrainingData data, TrainingOptions options)
    {
        options.Validate();
        (_target, _head, _data, _options) = (target, head, data, options);
        options.CheckFor(head.Options);
        _loss = new SupervisedLoss(options.Losses);
        _optimizer = new AdamW(head.Parameters, options.Beta1, options.Beta2, options.WeightDecay);
        if (options.Adversary.Weight > 0)
        {
            _adversary = new AdversarialGame(options.Adversary, head.Vocabulary?.Tokens.Count ?? target.Config.VocabularySize, options.Seed, target.Device);
            // The first decay rate of 0.5 is common practice for adversaries: their gradients turn often.
            _adversaryOptimizer = new AdamW(_adversary.Discriminator.Parameters, 0.5, 0.999, 0);
        }
        _cache = target.NewCache(options.Batch, options.RowLength);
        _state = new TrainerState(_optimizer, _adversaryOptimizer);
    }

    /// <summary>Steps done.</summary>
    public int StepsDone => _state.Step;

    /// <summary>Trains until the options' number of steps is done.</summary>
    /// <param name="onStep">Called after every step with its metrics.</param>
    /// <param name="save">Called when the state is due to be saved, and when training is cancelled or fails; see <see cref="SaveState"/>.</param>
    /// <param name="cancel">Looked at between steps.</param>
    /// <exception cref="KoalaException">A loss is not finite; the state is that of the last good step.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; the state is saved.</exception>
    public void Run(Action<StepMetrics> onStep, Action save, CancellationToken cancel = default)
    {
        var began = TimeProvider.System.GetTimestamp();
        var before = _state.Seconds;
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
                throw new KoalaException($"step {_state.Step + 1}", "a loss is not finite; the state before this step is saved, but the same step follows from it",
                    $"start anew with a lower {new OptionName(nameof(_options.LearningRate))} or "
                    + $"{new OptionName(AdversaryOptions.WeightOption)}");
            }
            _state.Seconds = before + TimeProvider.System.GetElapsedTime(began).TotalSeconds;
            metrics = metrics with { Seconds = _state.Seconds };
            var last = _state.Step == _options.Steps;
            if (last || _state.Step % _options.ValidateEvery == 0) metrics = metrics with { ValidationAccuracy = Validate() };
            onStep(metrics);
            if (last || _state.Step % _options.SaveEvery == 0) save();
        }
    }

    /// <summary>Held-out accuracy by depth: how often the head's best token is the target's own best token, the truth of greedy decoding.</summary>
    public IReadOnlyList<double> Validate()
    {
        using var _ = no_grad();
        var (right, places) = (new List<double>(), new List<double>());
        foreach (var rows in _data.Validation.Chunk(_options.Batch))
        {
            using var scope = NewDisposeScope();
            // The last ones may be fewer than the cache is made for.
            using var cache = rows.Length < _options.Batch ? _target.NewCache(rows.Length, _options.RowLength) : null;
            using var batch = new TrainingBatch(_target, cache ?? _cache, rows, _head.FeatureLayers) { TrainingTimeTestSteps = Math.Max(ValidationSteps, _options.TrainingTimeTest) };
            foreach (var output in _head.Predict(batch, _target))
            {
                using var terms = new DistillationTerms(output, batch);
                for (var missing = right.Count; missing <= output.Depth; missing++)
                {
                    right.Add(0);
                    places.Add(0);
                }
                right[output.Depth] += terms.Correct.to(ScalarType.Float32).sum().item<float>();
                places[output.Depth] += output.TargetPositions.shape[0];
            }
        }
        // Answers may be too short for the last depths. An accuracy over no position at all is reported as 0, not as NaN.
        return [.. right.Zip(places, (r, n) => r / Math.Max(n, 1))];
    }

    /// <summary>Writes everything a resumed run needs into a folder: weights, optimizers, step. The data order and the schedules follow from the step.</summary>
    public void SaveState(string folder) => _state.Save(folder);

    /// <summary>Continues from a folder that <see cref="SaveState"/> wrote.</summary>
    /// <exception cref="KoalaException">The folder's state is another head's or optimizer's.</exception>
    public void LoadState(string folder) => _state.Load(folder);

    /// <inheritdoc/>
    public void Dispose()
    {
        _optimizer.Dispose();
        _adversaryOptimizer?.Dispose();
        _adversary?.Dispose();
        _cache.Dispose();
    }

    // Null: a loss was not finite and nothing was changed.
    private StepMetrics? Step()
    {
        using var scope = NewDisposeScope();
        using var batch = new TrainingBatch(_target, _cache, _data.Batch(_state.Step, _options.Batch, _options.Seed), _head.FeatureLayers)
        {
            TrainingTimeTestSteps = _options.TrainingTimeTest,
            // Streams below zero: those from zero on order the data.
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
            var (weight, adversarial) = (_options.Adversary.WeightAt(_state.Step), _adversary.HeadLoss(termsByDepth));
            loss = loss + adversarial * weight;
            metrics = metrics with { AdversarialLoss = adversarial.item<float>(), AdversaryWeight = weight };
        }
        _optimizer.ZeroGradients();
        loss.backward();
        var norm = _optimizer.ClipGradients(_options.Clip, _options.ClipBy).item<float>();
        metrics = _loss.Report(metrics with { Loss = loss.item<float>(), GradientNorm = norm }, each);
        if (_adversary is not null) metrics = DiscriminatorGradients(termsByDepth, metrics);
        if (!double.IsFinite(metrics.Loss) || !double.IsFinite(norm) || !double.IsFinite(metrics.DiscriminatorLoss ?? 0)) return null;

        _optimizer.Step(metrics.LearningRate);
        _adversaryOptimizer?.Step(_options.Adversary.LearningRate);
        _state.Step++;
        _state.Tokens += tokens;
        return metrics with { Tokens = _state.Tokens };
    }

    private StepMetrics DiscriminatorGradients(IReadOnlyList<DistillationTerms> termsByDepth, StepMetrics metrics)
    {
        var (loss, rightAboutTarget, rightAboutHead) = _adversary!.DiscriminatorLoss(termsByDepth);
        // The head's backward pass has left gradients here too.
        _adversaryOptimizer!.ZeroGradients();
        loss.backward();
        return metrics with
        {
            DiscriminatorLoss = loss.item<float>(),
            DiscriminatorAccuracy = 0.5 * (rightAboutTarget.item<float>() + rightAboutHead.item<float>()),
        };
    }
}
