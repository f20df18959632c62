using static TorchSharp.torch;

namespace Koala.Lab.Runtime;

/// <summary>The number types a model computes in, by the names that the command, JSON and reports use: <c>fp32</c> and <c>bf16</c>.</summary>
public static class Dtypes
{
    /// <exception cref="KoalaException">The name is not fp32 or bf16.</exception>
    public static ScalarType Parse(string name) => name switch
    {
        "fp32" => ScalarType.Float32,
        "bf16" => ScalarType.BFloat16,
        _ => throw KoalaException.ForOption("Dtype", $"is '{name}', but a model computes in fp32 or bf16", "set it to fp32 or bf16"),
    };

    /// <summary>The name of a dtype that <see cref="Parse"/> reads.</summary>
    public static string Name(ScalarType dtype) => dtype switch
    {
        ScalarType.Float32 => "fp32",
        ScalarType.BFloat16 => "bf16",
        _ => throw new ArgumentOutOfRangeException(nameof(dtype), dtype, "not a dtype a model computes in"),
    };
}
