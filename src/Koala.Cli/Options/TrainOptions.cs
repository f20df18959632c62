using System.CommandLine;
using Koala.Lab.Adversary;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Training;

namespace Koala.Cli.Options;

/// <summary>What is trained, on what, and how: the options of a training plan beside the target's.</summary>
internal sealed class TrainOptions
{
    // Functions, not values: the library is touched only where a default is asked for.
    private static TrainingOptions Standard => new();

    private readonly Option<string> _head = SharedOptions.Choice("--head", "The kind of head.", () => "medusa", "medusa");
    private readonly Option<int> _layers = SharedOptions.Whole("--layers", "K: layers of the head.", () => new MedusaOptions().Layers);
    private readonly Option<int> _medusaHeads = SharedOptions.Whole("--medusa-heads", "Medusa heads, and so the most tokens drafted a round.", () => new MedusaOptions().Heads);
    private readonly Option<bool> _tied = SharedOptions.Flag("--tied", "Use one block K times in place of K blocks (an ablation).");
    private readonly Option<bool> _ownLmHeads = SharedOptions.Flag("--own-lm-heads", "Give each head an LM head of its own, which starts as the target's.");
    private readonly Option<int> _steps = SharedOptions.Whole("--steps", "Optimizer steps.", () => Standard.Steps);
    private readonly Option<int> _batch = SharedOptions.Whole("--batch", "Packed rows a step.", () => Standard.Batch);
    private readonly Option<int> _rowLength = SharedOptions.Whole("--row-length", "Tokens a row.", () => Standard.RowLength);
    private readonly Option<string> _labels = SharedOptions.Choice("--labels", "Learn from the target's distribution (soft) or from the text's tokens (hard).", () => Word(Standard.Labels), "soft", "hard");
    private readonly Option<double> _decay = SharedOptions.Number("--decay", "Weight of a depth's loss against the depth before it.", () => Standard.Decay);
    private readonly Option<double> _learningRate = SharedOptions.Number("--learning-rate", "Peak learning rate.", () => Standard.LearningRate);
    private readonly Option<int> _warmup = SharedOptions.Whole("--warmup", "Steps over which the learning rate grows to its peak; a cosine then takes it to zero.", () => Standard.Warmup);
    private readonly Option<double> _beta1 = SharedOptions.Number("--beta1", "AdamW's first decay rate.", () => Standard.Beta1);
    private readonly Option<double> _beta2 = SharedOptions.Number("--beta2", "AdamW's second decay rate.", () => Standard.Beta2);
    private readonly Option<double> _weightDecay = SharedOptions.Number("--weight-decay", "AdamW's decoupled weight decay.", () => Standard.WeightDecay);
    private readonly Option<double> _clipNorm = SharedOptions.Number("--clip-norm", "Gradients are scaled down to this norm.", () => Standard.ClipNorm);
    private readonly Option<double> _adversaryWeight = SharedOptions.Number("--adversary-weight", "Weight of the adversarial loss; 0 trains without the adversary.", () => Standard.Adversary.Weight);
    private readonly Option<int> _adversaryWarmup = SharedOptions.Whole("--adversary-warmup", "Steps over which that weight grows from 0.", () => Standard.Adversary.Warmup);
    private readonly Option<int> _adversaryWidth = SharedOptions.Whole("--adversary-width", "Width of the discriminator's hidden layers.", () => Standard.Adversary.Width);
    private readonly Option<double> _adversaryLearningRate = SharedOptions.Number("--adversary-learning-rate", "The discriminator's learning rate.", () => Standard.Adversary.LearningRate);
    private readonly Option<int> _seed = SharedOptions.Whole("--seed", "Seed of the data order and of what starts at random.", () => Standard.Seed);
    private readonly Option<int> _validateEvery = SharedOptions.Whole("--validate-every", "Steps between looks at held-out accuracy.", () => Standard.ValidateEvery);
    private readonly Option<int> _saveEvery = SharedOptions.Whole("--save-every", "Steps between saved training states.", () => Standard.SaveEvery);

    public Option<string?> Data { get; } = SharedOptions.Text("--data", "FILE", "Conversations to train on (JSON Lines, also .gz).");

    public Option<string?> Validation { get; } = SharedOptions.Text("--validation", "FILE", "Conversations held out. Default: the file beside --data that says validation for train, else a part of the data.");

    public Option<bool> WithControl { get; } = SharedOptions.Flag("--with-control", "Train the same head without the adversary as well: same seed, same data order.");

    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])
            [
                _head, _layers, _medusaHeads, _tied, _ownLmHeads, Data, Validation, _steps, _batch, _rowLength, _labels, _decay, _learningRate, _warmup,
                _beta1, _beta2, _weightDecay, _clipNorm, _adversaryWeight, _adversaryWarmup, _adversaryWidth, _adversaryLearningRate, WithControl, _seed,
                _validateEvery, _saveEvery,
            ])
            command.Options.Add(option);
    }

    public HeadOptions ReadHead(ParseResult result) => new MedusaOptions
    {
        Layers = result.GetValue(_layers),
        Heads = result.GetValue(_medusaHeads),
        Tied = result.GetValue(_tied),
        OwnLmHeads = result.GetValue(_ownLmHeads),
    };

    public TrainingOptions ReadTraining(ParseResult result) => new()
    {
        Steps = result.GetValue(_steps),
        Batch = result.GetValue(_batch),
        RowLength = result.GetValue(_rowLength),
        Labels = Enum.Parse<Labels>(result.GetValue(_labels)!, ignoreCase: true),
        Decay = result.GetValue(_decay),
        LearningRate = result.GetValue(_learningRate),
        Warmup = result.GetValue(_warmup),
        Beta1 = result.GetValue(_beta1),
        Beta2 = result.GetValue(_beta2),
        WeightDecay = result.GetValue(_weightDecay),
        ClipNorm = result.GetValue(_clipNorm),
        Adversary = new AdversaryOptions
        {
            Weight = result.GetValue(_adversaryWeight),
            Warmup = result.GetValue(_adversaryWarmup),
            Width = result.GetValue(_adversaryWidth),
            LearningRate = result.GetValue(_adversaryLearningRate),
        },
        Seed = result.GetValue(_seed),
        ValidateEvery = result.GetValue(_validateEvery),
        SaveEvery = result.GetValue(_saveEvery),
    };

    private static string Word(Labels labels) => labels.ToString().ToLowerInvariant();
}
