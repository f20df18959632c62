using System.Runtime.CompilerServices;
using Koala.Lab;

namespace Koala.Kernel;

/// <summary>
/// Creates and recognises <see cref="KoalaException"/> in code that runs while the kernel starts. A method that names
/// a type of the library loads libtorch when it is compiled. That takes 0.3 s and 120 MB, which the kernel and cells
/// without tensors do not need.
/// </summary>
internal static class Fault
{
    /// <summary>Creates a <see cref="KoalaException"/>.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static Exception Create(string where, string fault, string fix, Exception? inner = null) =>
        new KoalaException(where, fault, fix, inner);

    /// <summary>
    /// Whether an exception is a <see cref="KoalaException"/>, whose message is all that a user needs to see.
    /// </summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static bool Is(Exception e) => e is KoalaException;
}
