using System.CommandLine;
using Koala.Lab.Decoding;

namespace Koala.Cli.Options;

/// <summary>How answers are generated: <c>--max-tokens --temperature --top-k --top-p --draft-length --acceptance --seed</c> and the tree's.</summary>
internal sealed class SamplingOptions(Func<GenerationOptions> standard)
{
    private readonly Option<int> _maxTokens = SharedOptions.Whole("--max-tokens", "The most tokens of an answer.", () => standard().MaxTokens);
    private readonly Option<double> _temperature = SharedOptions.Number("--temperature", "Sampling temperature; 0 takes the best token.", () => standard().Temperature);
    private readonly Option<int> _topK = SharedOptions.Whole("--top-k", "Sample from the k likeliest tokens; 0 keeps all.", () => standard().TopK);
    private readonly Option<double> _topP = SharedOptions.Number("--top-p", "Sample from the likeliest tokens that together have this probability.", () => standard().TopP);
    private readonly Option<int> _seed = SharedOptions.Whole("--seed", "Seed of sampling; each prompt has a random stream of its own under it.", () => standard().Seed);

    public Option<int?> DraftLength { get; } = SharedOptions.WholeOrNone("--draft-length", "Tokens drafted a round. Default: chosen for this device by a short measurement.");

    private readonly Option<string> _acceptance = SharedOptions.Choice("--acceptance", "Which candidates are kept: lossless keeps the target's own output; typical (Medusa's rule, sampling only) does not.", () => "lossless", "lossless", "typical");

    private bool _drafts;

    public TreeOptions Tree { get; } = new();

    /// <param name="command">Takes the options.</param>
    /// <param name="drafts">Whether it drafts: with <see cref="DraftLength"/>.</param>
    public void AddTo(Command command, bool drafts = true)
    {
        foreach (Option option in (Option[])[_maxTokens, _temperature, _topK, _topP, .. drafts ? [DraftLength, _acceptance] : Array.Empty<Option>(), _seed]) command.Options.Add(option);
        if (drafts) Tree.AddTo(command);
        _drafts = drafts;
    }

    public GenerationOptions Read(ParseResult result)
    {
        var options = standard() with
        {
            MaxTokens = result.GetValue(_maxTokens),
            Temperature = result.GetValue(_temperature),
            TopK = result.GetValue(_topK),
            TopP = result.GetValue(_topP),
            Seed = result.GetValue(_seed),
        };
        return !_drafts ? options : options with
        {
            DraftLength = result.GetValue(DraftLength),
            Tree = Tree.Read(result),
            Acceptance = Enum.Parse<AcceptanceRule>(result.GetValue(_acceptance)!, ignoreCase: true),
        };
    }
}
