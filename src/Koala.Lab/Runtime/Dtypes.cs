using static TorchSharp.torch;

namespace Koala.Lab.Runtime;

/// <summary>The dtypes that a model computes in, by their names in the command, JSON and reports: <c>fp32</c> and <c>bf16</c>.</summary>
public static class Dtypes
{
    /// <exception cref="KoalaException">The name is not fp32 or bf16.</exception>
    public static ScalarType Parse(string name) => name switch
    {
        "fp32" => ScalarType.Float32,
        "bf16" => ScalarType.BFloat16,
        _ => throw KoalaException.ForOption("Dtype", $"is '{name}', but a model computes in fp32 or bf16", "set it to fp32 or bf16"),
    };

    /// <summary>Returns the name of a dtype, as <see cref="Parse"/> reads it.</summary>
    public static string Name(ScalarType dtype) => dtype switch
    {
        ScalarType.Float32 => "fp32",
        ScalarType.BFloat16 => "bf16",
        _ => throw new ArgumentOutOfRangeException(nameof(dtype), dtype, "A model does not compute in this dtype."),
    };

    /// <summary>Whether a dtype holds numbers with a fraction, as weights are.</summary>
    internal static bool IsFloatingPoint(ScalarType dtype) =>
        dtype is ScalarType.Float64 or ScalarType.Float32 or ScalarType.Float16 or ScalarType.BFloat16;
}
