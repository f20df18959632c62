using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Runtime.Native;

/// <summary>Calls TorchScript functions.</summary>
internal static class TorchScript
{
    /// <summary>Calls a function and keeps its arguments alive until it returns.</summary>
    /// <remarks>
    /// It replaces CompilationUnit.invoke, which converts a number to a native scalar and keeps no reference to it: a garbage collection
    /// before the native call frees the scalar, and the function throws or gets another number (TorchSharp 0.107).
    /// </remarks>
    /// <param name="unit">The compiled functions.</param>
    /// <param name="function">The function's name.</param>
    /// <param name="arguments">Tensors, arrays of tensors, numbers and booleans, in the function's order.</param>
    /// <returns>What the function returns: a tensor or an array of tensors. The caller owns them.</returns>
    public static object Call(this jit.CompilationUnit unit, string function, params object[] arguments)
    {
        object[] converted = [.. arguments.Select(argument => ToScalar(argument) ?? argument)];
        try
        {
            return unit.invoke(function, converted);
        }
        finally
        {
            foreach (var scalar in converted.OfType<Scalar>()) scalar.Dispose();
            GC.KeepAlive(converted);
        }
    }

    // TorchSharp passes an int or a bool without a native scalar.
    private static Scalar? ToScalar(object argument) => argument switch
    {
        double number => number.ToScalar(),
        float number => number.ToScalar(),
        long number => number.ToScalar(),
        _ => null,
    };
}
