using System.CommandLine;
using System.Globalization;
using Koala.Lab;
using Koala.Lab.Adversary;
using Koala.Lab.Heads;
using Koala.Lab.Training;

namespace Koala.Cli.Options;

/// <summary>What is trained, on what, and how: the options of a training plan beside the target's. What is not given is the preset's.</summary>
internal sealed class TrainOptions
{
    // Functions, not values: the library is touched only where a default is asked for.
    private static TrainingOptions Standard => new();

    private readonly Option<string> _head = SharedOptions.Choice("--head", "The kind of head.", () => NewHeadOptions.Kinds[0], NewHeadOptions.Kinds);
    private readonly NewHeadOptions _new;
    private readonly Option<string> _preset = SharedOptions.Choice("--preset", "The recipe; the options below change it.", () => TrainingPresets.Standard, "koala", "eagle-1", "medusa-1");
    private readonly Option<int> _steps = SharedOptions.Whole("--steps", "Optimizer steps.", () => Standard.Steps);
    private readonly Option<int> _batch = SharedOptions.Whole("--batch", "Packed rows a step.", () => Standard.Batch);
    private readonly Option<int> _rowLength = SharedOptions.Whole("--row-length", "Tokens a row.", () => Standard.RowLength);
    private readonly Option<string[]> _losses = new("--loss")
    {
        Description = "A loss with its weight and, after @, the weight of a depth against the one before: kl=0.5@0.8. May be given several times; then these are all. Default: the preset's.",
        HelpName = "NAME=WEIGHT[@DECAY]",
        Arity = ArgumentArity.OneOrMore,
    };
    private readonly Option<int?> _trainingTimeTest = SharedOptions.WholeOrNone("--training-time-test", "Steps on its own output that an EAGLE head is trained over. Default: the preset's.");
    private readonly Option<double?> _featureNoise = SharedOptions.NumberOrNone("--feature-noise", "Uniform noise between plus and minus X on the head's features. Default: the preset's.");
    private readonly Option<double?> _learningRate = SharedOptions.NumberOrNone("--learning-rate", "Peak learning rate. Default: the preset's.");
    private readonly Option<string> _schedule = SharedOptions.ChoiceOrNone("--schedule", "How the learning rate falls. Default: the preset's.", "cosine", "linear", "hold-linear");
    private readonly Option<int?> _warmup = SharedOptions.WholeOrNone("--warmup", "Steps over which the learning rate grows to its peak. Default: the preset's.");
    private readonly Option<double> _beta1 = SharedOptions.Number("--beta1", "AdamW's first decay rate.", () => Standard.Beta1);
    private readonly Option<double> _beta2 = SharedOptions.Number("--beta2", "AdamW's second decay rate.", () => Standard.Beta2);
    private readonly Option<double> _weightDecay = SharedOptions.Number("--weight-decay", "AdamW's decoupled weight decay.", () => Standard.WeightDecay);
    private readonly Option<double?> _clip = SharedOptions.NumberOrNone("--clip", "The limit that gradients are kept to. Default: the preset's.");
    private readonly Option<string> _clipBy = SharedOptions.ChoiceOrNone("--clip-by", "Whether that is the norm's of all gradients or each one's. Default: the preset's.", "norm", "value");
    private readonly Option<double> _adversaryWeight = SharedOptions.Number("--adversary-weight", "Weight of the adversarial loss; 0 trains without the adversary.", () => Standard.Adversary.Weight);
    private readonly Option<int> _adversaryWarmup = SharedOptions.Whole("--adversary-warmup", "Steps over which that weight grows from 0.", () => Standard.Adversary.Warmup);
    private readonly Option<int> _adversaryWidth = SharedOptions.Whole("--adversary-width", "Width of the discriminator's hidden layers.", () => Standard.Adversary.Width);
    private readonly Option<double> _adversaryLearningRate = SharedOptions.Number("--adversary-learning-rate", "The discriminator's learning rate.", () => Standard.Adversary.LearningRate);
    private readonly Option<int> _seed = SharedOptions.Whole("--seed", "Seed of the data order and of what starts at random.", () => Standard.Seed);
    private readonly Option<int> _validateEvery = SharedOptions.Whole("--validate-every", "Steps between looks at held-out accuracy.", () => Standard.ValidateEvery);
    private readonly Option<int> _saveEvery = SharedOptions.Whole("--save-every", "Steps between saved training states.", () => Standard.SaveEvery);

    public TrainOptions() => _new = new NewHeadOptions(_head);

    public Option<string?> Data { get; } = SharedOptions.Text("--data", "FILE", "Conversations to train on (JSON Lines, also .gz).");

    public Option<string?> Validation { get; } = SharedOptions.Text("--validation", "FILE", "Conversations held out. Default: the file beside --data that says validation for train, else a part of the data.");

    public Option<bool> WithControl { get; } = SharedOptions.Flag("--with-control", "Train the same head without the adversary as well: same seed, same data order.");

    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])
            [
                _head, .. _new.Sizes, Data, Validation, _preset, _steps, _batch, _rowLength, _losses,
                _trainingTimeTest, _featureNoise, _learningRate, _schedule, _warmup, _beta1, _beta2, _weightDecay, _clip, _clipBy, _adversaryWeight, _adversaryWarmup,
                _adversaryWidth, _adversaryLearningRate, WithControl, _seed, _validateEvery, _saveEvery,
            ])
            command.Options.Add(option);
    }

    public HeadOptions ReadHead(ParseResult result) => _new.Read(result, _trainingTimeTest);

    public TrainingOptions ReadTraining(ParseResult result, HeadOptions head)
    {
        var preset = TrainingPresets.Create(result.GetValue(_preset)!, head, result.GetValue(_steps));
        return preset with
        {
            Batch = result.GetValue(_batch),
            RowLength = result.GetValue(_rowLength),
            Losses = result.GetValue(_losses) is { Length: > 0 } losses ? [.. losses.Select(ReadLoss)] : preset.Losses,
            TrainingTimeTest = result.GetValue(_trainingTimeTest) ?? preset.TrainingTimeTest,
            FeatureNoise = result.GetValue(_featureNoise) ?? preset.FeatureNoise,
            LearningRate = result.GetValue(_learningRate) ?? preset.LearningRate,
            Schedule = result.GetValue(_schedule) switch
            {
                "cosine" => LearningRateSchedule.Cosine,
                "linear" => LearningRateSchedule.Linear,
                "hold-linear" => LearningRateSchedule.HoldLinear,
                _ => preset.Schedule,
            },
            Warmup = result.GetValue(_warmup) ?? preset.Warmup,
            Beta1 = result.GetValue(_beta1),
            Beta2 = result.GetValue(_beta2),
            WeightDecay = result.GetValue(_weightDecay),
            Clip = result.GetValue(_clip) ?? preset.Clip,
            ClipBy = result.GetValue(_clipBy) switch
            {
                "norm" => ClipBy.Norm,
                "value" => ClipBy.Value,
                _ => preset.ClipBy,
            },
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
    }

    private static LossTerm ReadLoss(string text)
    {
        var (name, rest) = text.Split('=', 2) is [var left, var right] ? (left, right) : (text, "1");
        var (weight, decay) = rest.Split('@', 2) is [var first, var second] ? (first, second) : (rest, "1");
        return new LossTerm(name, Number(weight), Number(decay));

        double Number(string part) => double.TryParse(part, NumberStyles.Float, CultureInfo.InvariantCulture, out var value)
            ? value
            : throw new KoalaException("--loss", $"is '{text}', but '{part}' is no number", "write it as soft-cross-entropy=0.1@0.8");
    }
}
