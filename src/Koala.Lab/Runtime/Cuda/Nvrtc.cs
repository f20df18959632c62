using System.Runtime.InteropServices;
using System.Text;
using Koala.Lab.Runtime.Native;

namespace Koala.Lab.Runtime.Cuda;

/// <summary>NVIDIA's run-time compiler, which comes with PyTorch and with the CUDA toolkit.</summary>
internal sealed unsafe class Nvrtc
{
    private static readonly Lazy<Nvrtc?> s_found = new(Find);

    // The first version that knows the architectures which can use all of the kernels.
    private const int FirstMajor = 12;

    // Its result where it does not know an option, as an architecture.
    private const int InvalidOption = 5;

    // The newest that is known to work comes first.
    private static readonly string[] s_names = ["libnvrtc.so.13", "libnvrtc.so.12"];

    private readonly IntPtr _library;

    private Nvrtc(IntPtr library)
    {
        _library = library;
        int major, minor;
        Call("nvrtcVersion", ((delegate* unmanaged<int*, int*, int>)Export("nvrtcVersion"))(&major, &minor));
        Version = new Version(major, minor);
    }

    /// <summary>The compiler; null if this machine has none.</summary>
    public static Nvrtc? Found => s_found.Value;

    /// <summary>Its version.</summary>
    public Version Version { get; }

    /// <summary>Compiles source to machine code.</summary>
    /// <param name="source">CUDA source that includes nothing.</param>
    /// <param name="name">Its name in messages.</param>
    /// <param name="options">The compiler's options, the architecture among them.</param>
    /// <returns>The machine code; null if this version of the compiler is older than the architecture.</returns>
    /// <exception cref="InvalidOperationException">The source has an error.</exception>
    public byte[]? Compile(string source, string name, IReadOnlyList<string> options)
    {
        IntPtr program;
        var text = Encoding.UTF8.GetBytes(source + '\0');
        var nameBytes = Encoding.UTF8.GetBytes(name + '\0');
        fixed (byte* textAddress = text, nameAddress = nameBytes)
            Call("nvrtcCreateProgram", ((delegate* unmanaged<IntPtr*, byte*, byte*, int, byte**, byte**, int>)Export("nvrtcCreateProgram"))(
                &program, textAddress, nameAddress, 0, null, null));
        var addresses = options.Select(Marshal.StringToCoTaskMemUTF8).ToArray();
        try
        {
            int result;
            fixed (IntPtr* first = addresses)
                result = ((delegate* unmanaged<IntPtr, int, IntPtr*, int>)Export("nvrtcCompileProgram"))(program, addresses.Length, first);
            if (result == InvalidOption) return null;
            if (result != 0)
            {
                var log = Encoding.UTF8.GetString(Read(program, "nvrtcGetProgramLogSize", "nvrtcGetProgramLog")).TrimEnd('\0');
                throw new InvalidOperationException($"NVRTC {Version} cannot compile {name}: {log.Split('\n')[0]}");
            }
            return Read(program, "nvrtcGetCUBINSize", "nvrtcGetCUBIN");
        }
        finally
        {
            foreach (var address in addresses) Marshal.FreeCoTaskMem(address);
            Call("nvrtcDestroyProgram", ((delegate* unmanaged<IntPtr*, int>)Export("nvrtcDestroyProgram"))(&program));
        }
    }

    private static Nvrtc? Find()
    {
        if (!LibTorch.HasCuda) return null;
        foreach (var file in Candidates())
            if (NativeLibrary.TryLoad(file, out var library) && new Nvrtc(library) is { Version.Major: >= FirstMajor } found) return found;
        return null;
    }

    // Beside libtorch; in the packages that PyTorch's depend on, which lie beside its own; where the system's loader looks.
    private static IEnumerable<string> Candidates()
    {
        var folder = LibTorch.Folder!;
        List<string> folders = [folder];
        var packages = Path.Combine(folder, "..", "..", "nvidia");
        if (Directory.Exists(packages))
            folders.AddRange(Directory.GetDirectories(packages).Order(StringComparer.Ordinal).Select(path => Path.Combine(path, "lib")));
        foreach (var place in folders.Where(Directory.Exists))
            foreach (var file in Directory.GetFiles(place, "libnvrtc*.so*").OrderDescending(StringComparer.Ordinal))
                if (IsCompiler(file)) yield return file;
        foreach (var name in s_names) yield return name;
    }

    // Its built-in headers and a second build of it have similar names.
    private static bool IsCompiler(string file) =>
        !file.Contains("builtins", StringComparison.Ordinal) && !file.Contains(".alt.", StringComparison.Ordinal);

    private byte[] Read(IntPtr program, string sizeFunction, string readFunction)
    {
        nuint size;
        Call(sizeFunction, ((delegate* unmanaged<IntPtr, nuint*, int>)Export(sizeFunction))(program, &size));
        var bytes = new byte[(int)size];
        fixed (byte* address = bytes)
            Call(readFunction, ((delegate* unmanaged<IntPtr, byte*, int>)Export(readFunction))(program, address));
        return bytes;
    }

    private IntPtr Export(string name) => NativeLibrary.GetExport(_library, name);

    private static void Call(string function, int result)
    {
        if (result != 0) throw new InvalidOperationException($"NVRTC failed in {function} with error {result}.");
    }
}
