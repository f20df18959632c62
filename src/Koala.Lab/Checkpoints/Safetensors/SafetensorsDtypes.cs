using static TorchSharp.torch;

namespace Koala.Lab.Checkpoints.Safetensors;

/// <summary>The number types of safetensors files that Koala reads and writes.</summary>
internal static class SafetensorsDtypes
{
    private static readonly (string Name, ScalarType Dtype, int Size)[] s_all =
    [
        ("F64", ScalarType.Float64, 8), ("F32", ScalarType.Float32, 4), ("F16", ScalarType.Float16, 2),
        ("BF16", ScalarType.BFloat16, 2),
        ("I64", ScalarType.Int64, 8), ("I32", ScalarType.Int32, 4), ("I16", ScalarType.Int16, 2), ("I8", ScalarType.Int8, 1),
        ("U8", ScalarType.Byte, 1), ("BOOL", ScalarType.Bool, 1),
    ];

    /// <summary>The names, for messages.</summary>
    internal static string Known { get; } = string.Join(", ", s_all.Select(d => d.Name));

    /// <summary>Finds the dtype by its name in the header (in ASCII, without quotes).</summary>
    internal static bool TryParse(ReadOnlySpan<byte> name, out ScalarType dtype)
    {
        foreach (var known in s_all)
        {
            if (!System.Text.Ascii.Equals(name, known.Name)) continue;
            dtype = known.Dtype;
            return true;
        }
        dtype = default;
        return false;
    }

    /// <summary>Returns a dtype's name in the header; null if safetensors or Koala has no name for it.</summary>
    internal static string? Name(ScalarType dtype)
    {
        // This is a loop, because the header calls it once per tensor, and a closure per call would count against its memory bound.
        foreach (var known in s_all)
            if (known.Dtype == dtype) return known.Name;
        return null;
    }

    /// <summary>Returns the bytes per number of a known dtype.</summary>
    internal static int Size(ScalarType dtype) => s_all.First(d => d.Dtype == dtype).Size;
}
