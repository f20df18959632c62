using System.CommandLine;
using Koala.Lab.Decoding;

namespace Koala.Cli.Options;

/// <summary>How answers are generated: <c>--max-tokens --temperature --top-k --top-p --draft-length --seed</c>.</summary>
internal sealed class SamplingOptions(Func<GenerationOptions> standard)
{
    private readonly Option<int> _maxTokens = SharedOptions.Whole("--max-tokens", "The most tokens of an answer.", () => standard().MaxTokens);
    private readonly Option<double> _temperature = SharedOptions.Number("--temperature", "Sampling temperature; 0 takes the best token.", () => standard().Temperature);
    private readonly Option<int> _topK = SharedOptions.Whole("--top-k", "Sample from the k likeliest tokens; 0 keeps all.", () => standard().TopK);
    private readonly Option<double> _topP = SharedOptions.Number("--top-p", "Sample from the likeliest tokens that together have this probability.", () => standard().TopP);
    private readonly Option<int> _seed = SharedOptions.Whole("--seed", "Seed of sampling; each prompt has a random stream of its own under it.", () => standard().Seed);

    public Option<int?> DraftLength { get; } = SharedOptions.WholeOrNone("--draft-length", "Tokens drafted a round. Default: chosen for this device by a short measurement.");

    /// <param name="command">Takes the options.</param>
    /// <param name="drafts">Whether it drafts: with <see cref="DraftLength"/>.</param>
    public void AddTo(Command command, bool drafts = true)
    {
        foreach (Option option in (Option[])[_maxTokens, _temperature, _topK, _topP, .. drafts ? [DraftLength] : Array.Empty<Option>(), _seed]) command.Options.Add(option);
    }

    public GenerationOptions Read(ParseResult result) => standard() with
    {
        MaxTokens = result.GetValue(_maxTokens),
        Temperature = result.GetValue(_temperature),
        TopK = result.GetValue(_topK),
        TopP = result.GetValue(_topP),
        DraftLength = result.GetValue(DraftLength),
        Seed = result.GetValue(_seed),
    };
}
