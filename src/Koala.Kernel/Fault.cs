using System.Runtime.CompilerServices;
using Koala.Lab;

namespace Koala.Kernel;

/// <summary>The library's one kind of error, for code on the kernel's way up: a method that names a type of the library loads libtorch when
/// it is compiled, 0.3 s and 120 MB that the kernel, and cells without tensors, do without.</summary>
internal static class Fault
{
    /// <summary>A <see cref="KoalaException"/>.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static Exception Create(string where, string fault, string fix, Exception? inner = null) => new KoalaException(where, fault, fix, inner);

    /// <summary>Whether it is a <see cref="KoalaException"/>, whose message says everything.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static bool Is(Exception e) => e is KoalaException;
}
