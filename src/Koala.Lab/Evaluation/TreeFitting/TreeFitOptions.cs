using System.Text.Json.Serialization;
using Koala.Lab.Decoding.Cost;
using Koala.Lab.Drafting.Trees;

namespace Koala.Lab.Evaluation.TreeFitting;

/// <summary>The options of a tree fit.</summary>
public sealed record TreeFitOptions
{
    /// <summary>
    /// The most nodes of the tree; a tree fitted for acceptance has exactly this number. 1 to <see cref="DraftTree.MaxNodes"/>, default
    /// 64.
    /// </summary>
    public int Nodes { get; init; } = 64;

    /// <summary>What the tree is fitted for. Default: speed.</summary>
    public TreeFitBy By { get; init; } = TreeFitBy.Speed;

    /// <summary>The most tokens of an answer. Default 128.</summary>
    public int MaxTokens { get; init; } = 128;

    /// <summary>How much other work on the machine is tolerated. Beyond it no tree is fitted for speed.</summary>
    public DisturbanceLimits Limits { get; init; } = new();

    /// <exception cref="KoalaException">An option is out of range.</exception>
    public void Validate()
    {
        if (Nodes is < 1 or > DraftTree.MaxNodes)
            throw KoalaException.ForOption(nameof(Nodes), $"is {Nodes}, but a tree has 1 to {DraftTree.MaxNodes} nodes",
                "set it to about 64");
        if (MaxTokens < 1)
            throw KoalaException.ForOption(nameof(MaxTokens), $"is {MaxTokens}, but an answer has at least one token",
                "set it to about 128");
    }
}

/// <summary>What a tree is fitted for.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<TreeFitBy>))]
public enum TreeFitBy
{
    /// <summary>Tokens per second on this device: acceptance divided by the cost of rounds with the tree.</summary>
    [JsonStringEnumMemberName("speed")]
    Speed,

    /// <summary>Acceptance only.</summary>
    [JsonStringEnumMemberName("acceptance")]
    Acceptance,
}
