using System.Text.Json.Serialization;

namespace Koala.Lab.Training;

/// <summary>How the learning rate falls after warm-up.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<LearningRateSchedule>))]
public enum LearningRateSchedule
{
    /// <summary>The learning rate falls to zero along half a cosine.</summary>
    [JsonStringEnumMemberName("cosine")]
    Cosine,

    /// <summary>The learning rate falls linearly to zero.</summary>
    [JsonStringEnumMemberName("linear")]
    Linear,

    /// <summary>The learning rate is constant for the first half of all steps, then falls linearly to 2 %.</summary>
    [JsonStringEnumMemberName("hold-linear")]
    HoldLinear,
}
