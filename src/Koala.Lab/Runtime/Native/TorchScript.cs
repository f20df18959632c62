using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Runtime.Native;

/// <summary>Calls of TorchScript functions.</summary>
internal static class TorchScript
{
    /// <summary>Calls a function. Its arguments live until it returns.</summary>
    /// <remarks>
    /// In place of CompilationUnit.invoke, which makes a native scalar of a number and keeps nothing that refers to it: a garbage collection
    /// before the native call frees it, and the function throws or gets another number (TorchSharp 0.107).
    /// </remarks>
    /// <param name="unit">The compiled functions.</param>
    /// <param name="function">The function's name.</param>
    /// <param name="arguments">Tensors, arrays of tensors, numbers and switches, in the function's order.</param>
    /// <returns>What the function returns: a tensor or an array of tensors, the caller's own.</returns>
    public static object Call(this jit.CompilationUnit unit, string function, params object[] arguments)
    {
        object[] kept = [.. arguments.Select(argument => Number(argument) ?? argument)];
        try
        {
            return unit.invoke(function, kept);
        }
        finally
        {
            foreach (var number in kept.OfType<Scalar>()) number.Dispose();
            GC.KeepAlive(kept);
        }
    }

    // An int and a bool are passed as they are.
    private static Scalar? Number(object argument) => argument switch
    {
        double number => number.ToScalar(),
        float number => number.ToScalar(),
        long number => number.ToScalar(),
        _ => null,
    };
}
