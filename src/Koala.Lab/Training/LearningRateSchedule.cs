using System.Text.Json.Serialization;

namespace Koala.Lab.Training;

/// <summary>How the learning rate falls after warm-up.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<LearningRateSchedule>))]
public enum LearningRateSchedule
{
    /// <summary>As half a cosine, to zero.</summary>
    [JsonStringEnumMemberName("cosine")]
    Cosine,

    /// <summary>In a line, to zero.</summary>
    [JsonStringEnumMemberName("linear")]
    Linear,

    /// <summary>It stays until half of all steps, then falls in a line to 2 %.</summary>
    [JsonStringEnumMemberName("hold-linear")]
    HoldLinear,
}
