using System.Text.Json.Serialization;

namespace Koala.Lab.Adversary;

/// <summary>What the discriminator judges: the target's as real, the head's at the same positions as fake.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<Judged>))]
public enum Judged
{
    /// <summary>
    /// Distributions over the vocabulary through their expected embedding: Σ p·e over the target's embeddings e, normed.
    /// </summary>
    [JsonStringEnumMemberName("distributions")]
    Distributions,

    /// <summary>Probabilities of the tokens that the target finds best at each position, in its order.</summary>
    [JsonStringEnumMemberName("probabilities")]
    Probabilities,

    /// <summary>Hidden features, normed. Only heads that predict features have some.</summary>
    [JsonStringEnumMemberName("features")]
    Features,

    /// <summary>
    /// The expected embeddings of all depths of a draft together. A head that reads its own output runs free on its own
    /// features there, and is given the text's tokens.
    /// </summary>
    [JsonStringEnumMemberName("sequences")]
    Sequences,
}

/// <summary>What the discriminator is told beside what it judges.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<JudgedWith>))]
public enum JudgedWith
{
    /// <summary>
    /// The target's hidden state at the position, normed, which decides the target's distribution there. For features it is
    /// the state one position before.
    /// </summary>
    [JsonStringEnumMemberName("state")]
    State,

    /// <summary>Nothing.</summary>
    [JsonStringEnumMemberName("nothing")]
    Nothing,
}

/// <summary>How the weight of the adversarial loss is balanced against the supervised loss.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<AdversaryBalance>))]
public enum AdversaryBalance
{
    /// <summary>
    /// The weight is multiplied by the ratio of the norms of both losses' gradients at the head's last matrix. A weight of
    /// 0.1 then means that a tenth as much gradient comes from the adversary there.
    /// </summary>
    [JsonStringEnumMemberName("gradient-norms")]
    GradientNorms,

    /// <summary>The weight is used as it is.</summary>
    [JsonStringEnumMemberName("none")]
    None,
}
