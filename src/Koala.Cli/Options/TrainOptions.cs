using System.CommandLine;
using System.Globalization;
using Koala.Lab;
using Koala.Lab.Heads;
using Koala.Lab.Training;

namespace Koala.Cli.Options;

/// <summary>
/// The options of a training plan, without those of the target. An option that is not given has the value of the
/// preset.
/// </summary>
internal sealed class TrainOptions
{
    // Created at each use, so that the library is loaded only when a default is needed.
    private static TrainingOptions Defaults => new();

    private readonly NewHeadOptions _newHead;
    private readonly Option<string> _head = SharedOptions.Choice("--head", "The kind of head.",
        () => NewHeadOptions.Kinds[0], NewHeadOptions.Kinds);
    private readonly Option<string> _preset = SharedOptions.Choice("--preset",
        "The recipe; the options below override it.", () => TrainingPresets.Default, "koala", "eagle-3-like", "eagle-1", "medusa-1");
    private readonly Option<int> _steps = SharedOptions.Integer("--steps", "Optimizer steps.", () => Defaults.Steps);
    private readonly Option<int> _batch = SharedOptions.Integer("--batch",
        "Packed rows per step.", () => Defaults.Batch);
    private readonly Option<int?> _rowLength = SharedOptions.OptionalInteger("--row-length",
        "Tokens per row. Default: a number that nine of ten chats fit into, if context and memory allow it.");
    private readonly Option<string[]> _losses = new("--loss")
    {
        Description = "A loss with its weight and, after @, the weight of each depth relative to the depth before it: kl=0.5@0.8. "
            + "Give the option once per loss; these losses replace the preset's. Default: the preset's.",
        HelpName = "NAME=WEIGHT[@DECAY]",
        Arity = ArgumentArity.OneOrMore,
    };
    private readonly Option<double> _firstErrorFocus = SharedOptions.Number("--first-error-focus",
        "Additional weight of the positions where a chain makes its first error; 0 weighs all alike.", () => Defaults.FirstErrorFocus);
    private readonly Option<double> _confidenceWeight = SharedOptions.Number("--confidence-weight",
        "With --confidence: the weight of the loss of the confidence output.", () => Defaults.ConfidenceWeight);
    private readonly Option<int?> _trainingTimeTest = SharedOptions.OptionalInteger("--training-time-test",
        "EAGLE: steps on its own output that the head is trained over. Default: the preset's.");
    private readonly Option<double?> _featureNoise = SharedOptions.OptionalNumber("--feature-noise",
        "Uniform noise from -X to X on the features that the head gets. Default: the preset's.");
    private readonly Option<double?> _learningRate = SharedOptions.OptionalNumber("--learning-rate",
        "The peak learning rate. Default: the preset's.");
    private readonly Option<string> _schedule = SharedOptions.OptionalChoice("--schedule",
        "How the learning rate decays after the warm-up. Default: the preset's.", "cosine", "linear", "hold-linear");
    private readonly Option<int?> _warmup = SharedOptions.OptionalInteger("--warmup",
        "Steps over which the learning rate grows to its peak. Default: the preset's.");
    private readonly Option<double> _beta1 = SharedOptions.Number("--beta1",
        "AdamW's first decay rate.", () => Defaults.Beta1);
    private readonly Option<double> _beta2 = SharedOptions.Number("--beta2",
        "AdamW's second decay rate.", () => Defaults.Beta2);
    private readonly Option<double> _weightDecay = SharedOptions.Number("--weight-decay",
        "AdamW's decoupled weight decay.", () => Defaults.WeightDecay);
    private readonly Option<double?> _clip = SharedOptions.OptionalNumber("--clip",
        "The limit of gradient clipping. Default: the preset's.");
    private readonly Option<string> _clipBy = SharedOptions.OptionalChoice("--clip-by",
        "What is clipped: the norm of all gradients together, or each value of a gradient. Default: the preset's.",
        "norm", "value");
    private readonly AdversaryOptionSet _adversary = new();
    private readonly Option<int> _seed = SharedOptions.Integer("--seed",
        "The seed of the data order and of all random numbers.", () => Defaults.Seed);
    private readonly Option<int> _validateEvery = SharedOptions.Integer("--validate-every",
        "Steps between measurements of held-out accuracy.", () => Defaults.ValidateEvery);
    private readonly Option<int> _validationAnswers = SharedOptions.Integer("--validation-answers",
        "Held-out answers that the head drafts in each validation, running free; 0 measures none.", () => Defaults.ValidationAnswers);
    private readonly Option<int> _saveEvery = SharedOptions.Integer("--save-every",
        "Steps between saved training states.", () => Defaults.SaveEvery);

    public TrainOptions() => _newHead = new NewHeadOptions(_head);

    public Option<string?> Data { get; } = SharedOptions.Text("--data", "FILE",
        "The chats to train on (JSON lines, also .gz).");

    public Option<string?> Validation { get; } = SharedOptions.Text("--validation", "FILE",
        "The chats that are held out. Default: the file beside --data whose name says validation in place of train; "
        + "if there is none, every fiftieth row of the data, or every tenth chat of a small file.");

    public Option<string[]> WithControls { get; } = new("--with-controls")
    {
        Description = "Train the same head without the adversary as well, with the same seed and data order: "
            + $"{string.Join(", ", TrainingControls.Names)}. None, or losses in the adversary's place; without a value all of them.",
        HelpName = "NAME,NAME",
        Arity = ArgumentArity.ZeroOrOne,
        CustomParser = result => result.Tokens is [var names] ? names.Value.Split(',') : [.. TrainingControls.Names],
    };

    public void AddTo(Command command)
    {
        command.AddOptions([_head, .. _newHead.Sizes, Data, Validation, _preset]);
        command.AddOptions(_steps, _batch, _rowLength, _losses, _firstErrorFocus, _confidenceWeight, _trainingTimeTest, _featureNoise);
        command.AddOptions(_learningRate, _schedule, _warmup, _beta1, _beta2, _weightDecay, _clip, _clipBy);
        command.AddOptions(_seed, _validateEvery, _validationAnswers, _saveEvery);
        command.AddOptions([.. _adversary.All, WithControls]);
    }

    public HeadOptions ReadHead(ParseResult result) => _newHead.Read(result, _trainingTimeTest);

    public TrainingOptions ReadTraining(ParseResult result, HeadOptions head)
    {
        if (result.Has(_confidenceWeight) && !result.GetValue(_newHead.Confidence))
        {
            throw new KoalaException(_confidenceWeight.Name, "is given, but the head has no confidence output",
                $"give {_newHead.Confidence.Name} as well, or leave it out");
        }
        var preset = TrainingPresets.Create(result.GetValue(_preset)!, head, result.GetValue(_steps));
        return preset with
        {
            Batch = result.GetValue(_batch),
            RowLength = result.GetValue(_rowLength),
            Losses = result.GetValue(_losses) is { Length: > 0 } losses ? [.. losses.Select(ReadLoss)] : preset.Losses,
            FirstErrorFocus = result.GetValue(_firstErrorFocus),
            ConfidenceWeight = result.GetValue(_confidenceWeight),
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
            Adversary = _adversary.Read(result),
            Seed = result.GetValue(_seed),
            ValidateEvery = result.GetValue(_validateEvery),
            ValidationAnswers = result.GetValue(_validationAnswers),
            SaveEvery = result.GetValue(_saveEvery),
        };
    }

    public static LossTerm ReadLoss(string text)
    {
        var (name, rest) = text.Split('=', 2) is [var left, var right] ? (left, right) : (text, "1");
        var (weight, decay) = rest.Split('@', 2) is [var first, var second] ? (first, second) : (rest, "1");
        return new LossTerm(name, Number(weight), Number(decay));

        double Number(string part) => double.TryParse(part, NumberStyles.Float, CultureInfo.InvariantCulture, out var value)
            ? value
            : throw new KoalaException("--loss", $"is '{text}', but '{part}' is not a number",
                "write it as soft-cross-entropy=0.1@0.8");
    }
}
