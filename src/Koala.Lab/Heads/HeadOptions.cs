using System.Text.Json.Serialization;

namespace Koala.Lab.Heads;

/// <summary>
/// The kind and sizes of a head. In JSON the first field is <c>kind</c>, the name under which the kind is registered in
/// <see cref="HeadRegistry"/>.
/// </summary>
[JsonConverter(typeof(HeadOptionsJson))]
public abstract record HeadOptions
{
    /// <summary>The largest number of layers that a head may have.</summary>
    public const int MaxLayers = 16;

    /// <summary>The name of the kind in <see cref="HeadRegistry"/>, such as medusa or eagle.</summary>
    [JsonIgnore]
    public abstract string Kind { get; }

    /// <summary>
    /// Whether the head also predicts the target's features, so that a loss can compare them. Default false.
    /// </summary>
    [JsonIgnore]
    public virtual bool PredictsFeatures => false;

    /// <summary>
    /// K: the residual blocks of each Medusa head, or the decoder layers of an EAGLE head. 1 to 16, default 1.
    /// </summary>
    public int Layers { get; init; } = 1;

    /// <summary>
    /// The number of depths that have weights of their own, each of which has to learn. A head that reads its own output
    /// has one.
    /// </summary>
    internal virtual int Depths => 1;

    /// <exception cref="KoalaException">An option is out of range.</exception>
    public virtual void Validate()
    {
        if (Layers is < 1 or > MaxLayers)
            throw KoalaException.ForOption(nameof(Layers), $"K is {Layers}, but a head has 1 to {MaxLayers} layers", "set it to 1 or 2");
    }
}
