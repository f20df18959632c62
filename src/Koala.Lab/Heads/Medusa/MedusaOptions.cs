using System.Text.Json.Serialization;

namespace Koala.Lab.Heads.Medusa;

/// <summary>The sizes of a Medusa head.</summary>
public sealed record MedusaOptions : HeadOptions
{
    internal const string KindName = "medusa";

    /// <summary>The largest number of heads, and so the length of the longest draft.</summary>
    public const int MaxHeads = 16;

    /// <inheritdoc/>
    [JsonIgnore]
    public override string Kind => KindName;

    /// <summary>n: the number of heads. Head h predicts the token h+2 positions ahead. 1 to 16, default 4.</summary>
    public int Heads { get; init; } = 4;

    /// <summary>
    /// Whether one block is used K times instead of K blocks, as code built on the Medusa repository does
    /// unintentionally. This is an ablation; default false.
    /// </summary>
    public bool Tied { get; init; }

    /// <summary>
    /// Whether each head has an LM head of its own, which starts as the target's. Default false: the target's LM head
    /// is shared, frozen and not stored.
    /// </summary>
    public bool OwnLmHeads { get; init; }

    /// <summary>
    /// The rank of the Markov bias, which adds to the logits of each token what the token before it says. Default 0, which
    /// means no bias: the heads then do not depend on each other's tokens.
    /// </summary>
    public int MarkovRank { get; init; }

    /// <summary>
    /// Whether the head has a confidence output: a small layer beside it, which learns whether the next drafted token will be accepted.
    /// Default false.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Confidence { get; init; }

    internal override int Depths => Heads;

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        if (Heads is < 1 or > MaxHeads)
            throw KoalaException.ForOption(nameof(Heads), $"is {Heads}, but there are 1 to {MaxHeads} Medusa heads", "set it to 4");
        if (MarkovRank < 0)
            throw KoalaException.ForOption(nameof(MarkovRank), $"is {MarkovRank}, but it must be 0 or above",
                "leave it out, or set it to 64");
    }
}
