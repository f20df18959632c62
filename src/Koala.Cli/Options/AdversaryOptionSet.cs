using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using Koala.Lab.Adversary;
using Koala.Lab.Runtime.Files;

namespace Koala.Cli.Options;

/// <summary>The options of the adversary.</summary>
internal sealed class AdversaryOptionSet
{
    private readonly Option<double> _weight = SharedOptions.Number("--adversary-weight",
        "The weight of the adversarial loss; 0 trains without the adversary.", () => Defaults.Weight);
    private readonly Option<string> _judges = SharedOptions.Choice("--adversary-judges",
        "What the discriminator judges.", () => Name(Defaults.Judges), Names<Judged>());
    private readonly Option<string> _with = SharedOptions.Choice("--adversary-with",
        "What the discriminator is told beside it: the target's state, or nothing.", () => Name(Defaults.With), Names<JudgedWith>());
    private readonly Option<int> _topTokens = SharedOptions.Integer("--adversary-top-tokens",
        "If it judges probabilities: of how many of the target's best tokens; 0 means all.", () => Defaults.TopTokens);
    private readonly Option<int> _positions = SharedOptions.Integer("--adversary-positions",
        "The most positions that are judged per step; 0 means all.", () => Defaults.Positions);
    private readonly Option<string> _loss = SharedOptions.Choice("--adversary-loss",
        "The losses of both sides.", () => Name(Defaults.Loss), Names<AdversarialLoss>());
    private readonly Option<double> _gradientPenalty = SharedOptions.Number("--adversary-gradient-penalty",
        "With Wasserstein losses: the weight of the gradient penalty.", () => Defaults.GradientPenalty);
    private readonly Option<string> _balance = SharedOptions.Choice("--adversary-balance",
        "How the weight is balanced against the supervised loss.", () => Name(Defaults.Balance), Names<AdversaryBalance>());
    private readonly Option<int> _warmup = SharedOptions.Integer("--adversary-warmup",
        "Steps over which the weight of the adversarial loss grows from 0.", () => Defaults.Warmup);
    private readonly Option<double> _lowestAccuracy = SharedOptions.Number("--adversary-lowest-accuracy",
        "The head does not listen to a discriminator that is right less often.", () => Defaults.LowestAccuracy);
    private readonly Option<double> _highestAccuracy = SharedOptions.Number("--adversary-highest-accuracy",
        "The discriminator does not learn while it is right more often.", () => Defaults.HighestAccuracy);
    private readonly Option<int> _width = SharedOptions.Integer("--adversary-width",
        "The width of the discriminator's hidden layers.", () => Defaults.Width);
    private readonly Option<bool> _spectralNorm = SharedOptions.Switch("--adversary-spectral-norm",
        "Whether each matrix of the discriminator is divided by its largest singular value.", () => Defaults.SpectralNorm);
    private readonly Option<double> _learningRate = SharedOptions.Number("--adversary-learning-rate",
        "The discriminator's learning rate.", () => Defaults.LearningRate);

    // Created at each use, so that the library is loaded only when a default is needed.
    private static AdversaryOptions Defaults => new();

    public IEnumerable<Option> All =>
        [_weight, _judges, _with, _topTokens, _positions, _loss, _gradientPenalty, _balance, _warmup, _lowestAccuracy,
            _highestAccuracy, _width, _spectralNorm, _learningRate];

    public AdversaryOptions Read(ParseResult result) => new()
    {
        Weight = result.GetValue(_weight),
        Judges = Member<Judged>(result.GetValue(_judges)!),
        With = Member<JudgedWith>(result.GetValue(_with)!),
        TopTokens = result.GetValue(_topTokens),
        Positions = result.GetValue(_positions),
        Loss = Member<AdversarialLoss>(result.GetValue(_loss)!),
        GradientPenalty = result.GetValue(_gradientPenalty),
        Balance = Member<AdversaryBalance>(result.GetValue(_balance)!),
        Warmup = result.GetValue(_warmup),
        LowestAccuracy = result.GetValue(_lowestAccuracy),
        HighestAccuracy = result.GetValue(_highestAccuracy),
        Width = result.GetValue(_width),
        SpectralNorm = result.GetValue(_spectralNorm),
        LearningRate = result.GetValue(_learningRate),
    };

    // A member of an enum has the same name on the command line as in JSON.
    private static string Name<T>(T member) where T : struct, Enum =>
        JsonSerializer.SerializeToElement(member, JsonFormat.Line).GetString()!;

    private static string[] Names<T>() where T : struct, Enum => [.. Enum.GetValues<T>().Select(Name)];

    private static T Member<T>(string name) where T : struct, Enum => JsonValue.Create(name).Deserialize<T>(JsonFormat.Line);
}
