using System.Text.Json.Serialization;
using Koala.Lab.Drafting.Trees;

namespace Koala.Lab.Evaluation.TreeFitting;

/// <summary>What a tree is fitted to.</summary>
public sealed record TreeFitOptions
{
    /// <summary>The most nodes of the tree; of the one with the longest acceptance, exactly so many. 1 to <see cref="DraftTree.MaxNodes"/>, default 64.</summary>
    public int Nodes { get; init; } = 64;

    /// <summary>What it is best in. Default: speed.</summary>
    public TreeFitBy By { get; init; } = TreeFitBy.Speed;

    /// <summary>The most tokens of an answer. Default 128.</summary>
    public int MaxTokens { get; init; } = 128;

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

/// <summary>What a fitted tree is best in.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<TreeFitBy>))]
public enum TreeFitBy
{
    /// <summary>Tokens a second on this device: acceptance against what rounds with the tree cost.</summary>
    [JsonStringEnumMemberName("speed")]
    Speed,

    /// <summary>Acceptance alone.</summary>
    [JsonStringEnumMemberName("acceptance")]
    Acceptance,
}
