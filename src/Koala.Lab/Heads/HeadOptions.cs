using System.Text.Json.Serialization;

namespace Koala.Lab.Heads;

/// <summary>Kind and sizes of a head. In JSON a field <c>kind</c> stands first, the name it is registered by in <see cref="HeadRegistry"/>.</summary>
[JsonConverter(typeof(HeadOptionsJson))]
public abstract record HeadOptions
{
    /// <summary>The most layers a head may have.</summary>
    public const int MaxLayers = 16;

    /// <summary>The name of the kind, as in <see cref="HeadRegistry"/>: medusa, eagle.</summary>
    [JsonIgnore]
    public abstract string Kind { get; }

    /// <summary>Whether it guesses the target's features beside its tokens, so that a loss can compare them. Default false.</summary>
    [JsonIgnore]
    public virtual bool PredictsFeatures => false;

    /// <summary>K: residual blocks in each Medusa head, decoder layers of an EAGLE head. 1 to 16, default 1.</summary>
    public int Layers { get; init; } = 1;

    /// <exception cref="KoalaException">An option is out of range.</exception>
    public virtual void Validate()
    {
        if (Layers is < 1 or > MaxLayers)
            throw KoalaException.ForOption(nameof(Layers), $"K is {Layers}, but a head has 1 to {MaxLayers} layers", "set it to 1 or 2");
    }
}
