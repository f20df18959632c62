using System.Text.Json.Serialization;

namespace Koala.Lab.Heads.Medusa;

/// <summary>Sizes of a Medusa head.</summary>
public sealed record MedusaOptions : HeadOptions
{
    internal const string KindName = "medusa";

    /// <summary>The most heads, and so the longest draft.</summary>
    public const int MaxHeads = 16;

    /// <inheritdoc/>
    [JsonIgnore]
    public override string Kind => KindName;

    /// <summary>n: head h guesses the token h+2 places ahead. 1 to 16, default 4.</summary>
    public int Heads { get; init; } = 4;

    /// <summary>One block used K times in place of K blocks, as code built on the Medusa repository has it unnoticed. An ablation; default false.</summary>
    public bool Tied { get; init; }

    /// <summary>Each head has an LM head of its own, which starts as the target's. Default false: the target's is shared, frozen and not stored.</summary>
    public bool OwnLmHeads { get; init; }

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        if (Heads is < 1 or > MaxHeads)
            throw KoalaException.ForOption(nameof(Heads), $"is {Heads}, but there are 1 to {MaxHeads} Medusa heads", "set it to 4");
    }
}
