using Koala.Lab.Drafting.Trees;

namespace Koala.Lab.Decoding;

/// <summary>How an answer is generated.</summary>
public sealed record GenerationOptions
{
    /// <summary>
    /// The largest number of tokens of the answer. Default 256. The answer ends earlier if the context is full.
    /// </summary>
    public int MaxTokens { get; init; } = 256;

    /// <summary>The sampling temperature; 0 (the default) takes the best token.</summary>
    public double Temperature { get; init; }

    /// <summary>The number of likeliest tokens that sampling keeps; 0 (the default) keeps all.</summary>
    public int TopK { get; init; }

    /// <summary>
    /// Sampling keeps the likeliest tokens that together have this probability; 1 (the default) keeps all.
    /// </summary>
    public double TopP { get; init; } = 1;

    /// <summary>
    /// The number of tokens that a round drafts in a chain. Null means that the decoder chooses a length or a tree
    /// (<see cref="SpeculativeDecoder.ChooseDraftLength"/>). A sampled answer depends on it: to repeat one, set it as well as
    /// the seed.
    /// </summary>
    public int? DraftLength { get; init; }

    /// <summary>The draft tree of every round. Null means a chain of <see cref="DraftLength"/> tokens.</summary>
    public DraftTree? Tree { get; init; }

    /// <summary>
    /// Whether a tree may be chosen where neither a draft length nor a tree is set. Default: true. If false, only a chain is.
    /// </summary>
    public bool ChooseTrees { get; init; } = true;

    /// <summary>
    /// Where the head's own confidence ends a chain early: no further token is drafted once the product of its confidences is below this
    /// number, 0 to 1. Default 0: the chain is never cut. It needs a head with a confidence output, and changes no answer: greedy ones stay
    /// the same, and sampled ones keep the target's distribution.
    /// </summary>
    public double ConfidenceThreshold { get; init; }

    /// <summary>
    /// Which candidates are accepted when sampling. Default: lossless. Greedy decoding is always lossless.
    /// </summary>
    public AcceptanceMode Acceptance { get; init; }

    /// <summary>Texts that end the answer. The answer is cut before them.</summary>
    public IReadOnlyList<string> Stop { get; init; } = [];

    /// <summary>The seed of sampling.</summary>
    public int Seed { get; init; }

    /// <summary>
    /// The number of the prompt's random stream under the seed. Each prompt draws from its own stream, whatever was
    /// generated before it.
    /// </summary>
    public int Stream { get; init; }

    /// <summary>
    /// Whether to record each round's candidates and bonus token with their probabilities. This is slower.
    /// </summary>
    public bool FullTrace { get; init; }

    /// <summary>The draft tree of every round for a head that can draft this many tokens one after another.</summary>
    public DraftTree TreeFor(int maxDraftLength)
    {
        var tree = Tree?.FitTo(maxDraftLength) ?? new ChainTree(DraftLength ?? maxDraftLength);
        return tree is ChainTree chain && ConfidenceThreshold > 0
            ? chain with { Cut = new ConfidenceCut(ConfidenceThreshold, Sampled: Temperature > 0) }
            : tree;
    }

    /// <exception cref="KoalaException">An option is out of range.</exception>
    public void Validate()
    {
        if (MaxTokens < 1)
            throw KoalaException.ForOption(nameof(MaxTokens), $"is {MaxTokens}, but an answer has at least one token",
                "set it to 1 or more");
        if (!(Temperature >= 0) || double.IsInfinity(Temperature))
            throw KoalaException.ForOption(nameof(Temperature), $"is {Temperature}, but it must be 0 (greedy) or above",
                "set it to 0, or to about 1");
        if (TopK < 0)
            throw KoalaException.ForOption(nameof(TopK), $"is {TopK}, but it must be 0 (all tokens) or above",
                "leave it out, or set it to about 50");
        if (TopP is not (> 0 and <= 1))
            throw KoalaException.ForOption(nameof(TopP), $"is {TopP}, but it must be above 0 and at most 1",
                "leave it out, or set it to about 0.9");
        if (DraftLength is < 0)
            throw KoalaException.ForOption(nameof(DraftLength), $"is {DraftLength}, but a round drafts 0 tokens or more", "leave it out");
        if (DraftLength is not null && Tree is not (null or ChainTree))
            throw KoalaException.ForOption(nameof(DraftLength),
                $"is the length of a chain, but {new OptionName(nameof(Tree))} is {Tree.Name}", "leave one of them out");
        Tree?.Validate();
        if (ConfidenceThreshold is not (>= 0 and <= 1))
            throw KoalaException.ForOption(nameof(ConfidenceThreshold), $"is {ConfidenceThreshold}, but a product of confidences is 0 to 1",
                "set it to about 0.3, or leave it out");
        if (ConfidenceThreshold > 0 && Tree is not (null or ChainTree))
            throw KoalaException.ForOption(nameof(ConfidenceThreshold),
                $"cuts a chain, but {new OptionName(nameof(Tree))} is {Tree.Name}", "leave one of them out");
        if (Acceptance == AcceptanceMode.Typical && Temperature == 0)
            throw KoalaException.ForOption(nameof(Acceptance),
                $"is typical, a rule for sampling, but {new OptionName(nameof(Temperature))} is 0",
                $"set {new OptionName(nameof(Temperature))} to about 0.7, or leave it out");
        if (Stop.Any(string.IsNullOrEmpty))
            throw KoalaException.ForOption(nameof(Stop), "is empty, which would end every answer at once",
                "give the text that ends an answer");
    }
}
