using System.CommandLine;
using Koala.Lab.Decoding;

namespace Koala.Cli.Options;

/// <summary>
/// How answers are generated: <c>--max-tokens --temperature --top-k --top-p --draft-length --seed</c>.
/// </summary>
/// <param name="defaults">Computes the default values.</param>
internal sealed class SamplingOptions(Func<GenerationOptions> defaults)
{
    private readonly Option<double> _temperature = SharedOptions.Number("--temperature",
        "The sampling temperature; 0 takes the best token.", () => defaults().Temperature);
    private readonly Option<int> _topK = SharedOptions.Integer("--top-k",
        "Sample from the k most likely tokens; 0 means all tokens.", () => defaults().TopK);
    private readonly Option<double> _topP = SharedOptions.Number("--top-p",
        "Sample from the most likely tokens that together have this probability.", () => defaults().TopP);
    private readonly Option<int> _seed = SharedOptions.Integer("--seed",
        "The seed of sampling; each prompt has its own random stream.", () => defaults().Seed);

    public Option<int> MaxTokens { get; } = SharedOptions.Integer("--max-tokens", "The most tokens of an answer.",
        () => defaults().MaxTokens);

    public Option<int?> DraftLength { get; } = SharedOptions.OptionalInteger("--draft-length",
        "Tokens drafted per round when the draft is a chain. Default: Koala chooses for this device by a short measurement.");

    /// <param name="command">The command that gets the options.</param>
    /// <param name="drafts">Whether the command drafts, and so gets <see cref="DraftLength"/>.</param>
    public void AddTo(Command command, bool drafts = true)
    {
        command.AddOptions(MaxTokens, _temperature, _topK, _topP);
        if (drafts) command.AddOptions(DraftLength);
        command.AddOptions(_seed);
    }

    public GenerationOptions Read(ParseResult result) => defaults() with
    {
        MaxTokens = result.GetValue(MaxTokens),
        Temperature = result.GetValue(_temperature),
        TopK = result.GetValue(_topK),
        TopP = result.GetValue(_topP),
        DraftLength = result.GetValue(DraftLength),
        Seed = result.GetValue(_seed),
    };
}
