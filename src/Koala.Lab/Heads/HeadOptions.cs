using System.Text.Json.Serialization;
using Koala.Lab.Heads.Medusa;

namespace Koala.Lab.Heads;

/// <summary>Kind and sizes of a head.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(MedusaOptions), MedusaOptions.KindName)]
public abstract record HeadOptions
{
    /// <summary>The most layers a head may have.</summary>
    public const int MaxLayers = 16;

    /// <summary>medusa.</summary>
    [JsonIgnore]
    public abstract string Kind { get; }

    /// <summary>K: residual blocks in each Medusa head. 1 to 16, default 1.</summary>
    public int Layers { get; init; } = 1;

    /// <exception cref="KoalaException">An option is out of range.</exception>
    public virtual void Validate()
    {
        if (Layers is < 1 or > MaxLayers)
            throw new KoalaException("--layers", $"K is {Layers}, but a head has 1 to {MaxLayers} layers", "set it to 1 or 2");
    }
}
