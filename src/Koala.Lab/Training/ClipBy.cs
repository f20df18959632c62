using System.Text.Json.Serialization;

namespace Koala.Lab.Training;

/// <summary>How gradients are kept small.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ClipBy>))]
public enum ClipBy
{
    /// <summary>All are scaled down together, until their norm is the limit.</summary>
    [JsonStringEnumMemberName("norm")]
    Norm,

    /// <summary>Each is cut at plus and minus the limit.</summary>
    [JsonStringEnumMemberName("value")]
    Value,
}
