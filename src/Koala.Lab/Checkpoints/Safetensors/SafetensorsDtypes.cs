using static TorchSharp.torch;

namespace Koala.Lab.Checkpoints.Safetensors;

/// <summary>The number types of safetensors files. Koala lists tensors of all of them, and reads and writes most.</summary>
internal static class SafetensorsDtypes
{
    private static readonly SafetensorsDtype[] s_all =
    [
        new("F64", ScalarType.Float64, 64), new("F32", ScalarType.Float32, 32), new("F16", ScalarType.Float16, 16),
        new("BF16", ScalarType.BFloat16, 16), new("I64", ScalarType.Int64, 64), new("I32", ScalarType.Int32, 32),
        new("I16", ScalarType.Int16, 16), new("I8", ScalarType.Int8, 8), new("U8", ScalarType.Byte, 8), new("BOOL", ScalarType.Bool, 8),
        new("U64", null, 64), new("U32", null, 32), new("U16", null, 16), new("C64", null, 64), new(Float8.Name, ScalarType.BFloat16, 8),
        new("F8_E5M2", null, 8), new("F8_E8M0", null, 8), new("F6_E2M3", null, 6), new("F6_E3M2", null, 6), new("F4", null, 4),
    ];

    /// <summary>The names of those that Koala reads, for messages.</summary>
    internal static string Known { get; } = string.Join(", ", s_all.Where(d => d.Dtype is not null).Select(d => d.Name));

    /// <summary>Finds a number type by its name in the header (in ASCII, without quotes); null if the format has no such type.</summary>
    internal static SafetensorsDtype? Find(ReadOnlySpan<byte> name)
    {
        foreach (var dtype in s_all)
            if (System.Text.Ascii.Equals(name, dtype.Name)) return dtype;
        return null;
    }

    /// <summary>Returns a dtype's name in the header; null if safetensors or Koala has no name for it.</summary>
    internal static string? Name(ScalarType dtype)
    {
        foreach (var known in s_all)
            if (known.Dtype == dtype) return known.Name;
        return null;
    }

    /// <summary>Returns the bytes per number of a dtype that Koala reads.</summary>
    internal static int Size(ScalarType dtype) => s_all.First(d => d.Dtype == dtype).Bits / 8;
}

/// <summary>A number type of safetensors files.</summary>
/// <param name="Name">Its name in the header.</param>
/// <param name="Dtype">The dtype that it is read as; null if Koala does not read it.</param>
/// <param name="Bits">The number of bits of a number. Numbers are packed without gaps, and a tensor takes whole bytes.</param>
internal sealed record SafetensorsDtype(string Name, ScalarType? Dtype, int Bits);
