using System.Text.Json.Serialization;

namespace Koala.Lab.Training;

/// <summary>How gradients are clipped.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ClipBy>))]
public enum ClipBy
{
    /// <summary>All gradients are scaled down together, so that their norm is at most the limit.</summary>
    [JsonStringEnumMemberName("norm")]
    Norm,

    /// <summary>Each gradient is clamped between minus and plus the limit.</summary>
    [JsonStringEnumMemberName("value")]
    Value,
}
