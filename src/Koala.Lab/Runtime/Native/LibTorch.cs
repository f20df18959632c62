using System.Buffers.Binary;
using System.Reflection;
using System.Runtime.InteropServices;
using TorchSharp;

namespace Koala.Lab.Runtime.Native;

/// <summary>Finds libtorch and loads it once per process.</summary>
/// <remarks>
/// It searches in this order: the folder that <c>KOALA_LIBTORCH</c> names (a libtorch or a PyTorch <c>torch/lib</c>), the folder of
/// this assembly, the NuGet package cache. All libraries are loaded from one folder, because two copies of libtorch abort the
/// process. This class handles Linux x64 only; on other systems TorchSharp loads libtorch in its usual way.
/// </remarks>
public static class LibTorch
{
    /// <summary>The environment variable that names a folder with libtorch.</summary>
    public const string FolderVariable = "KOALA_LIBTORCH";

    // NuGet's own variable.
    private const string PackagesVariable = "NUGET_PACKAGES";

    private const string Bindings = "libLibTorchSharp.so";

    // Dependencies come first; only CUDA builds have the two CUDA libraries.
    private static readonly string[] s_libraries =
        ["libc10.so", "libtorch_cpu.so", "libc10_cuda.so", "libtorch_cuda.so", "libtorch.so"];

    private static IntPtr s_bindings;
    private static KoalaException? s_failure;

    /// <summary>The folder that libtorch was loaded from; null if TorchSharp loads it.</summary>
    public static string? Folder { get; private set; }

    /// <summary>
    /// Why it was loaded from that folder: <c>KOALA_LIBTORCH</c>, <c>beside the assembly</c>, <c>package cache</c> or <c>TorchSharp</c>.
    /// </summary>
    public static string Origin { get; private set; } = "TorchSharp";

    /// <summary>Whether the loaded bindings are a copy whose requirement of a newer libstdc++ was made weak.</summary>
    public static bool BindingsPatched { get; private set; }

    /// <summary>Whether the loaded libtorch has CUDA.</summary>
    public static bool HasCuda => Folder is not null && File.Exists(Path.Combine(Folder, "libtorch_cuda.so"));

    /// <summary>
    /// The address of a function of TorchSharp's bindings; 0 if they do not export it, or if TorchSharp loaded them itself.
    /// </summary>
    internal static IntPtr BindingsFunction(string name) =>
        s_bindings != 0 && NativeLibrary.TryGetExport(s_bindings, name, out var address) ? address : 0;

    /// <summary>The libtorch version that this build of Koala was made for.</summary>
    public static string Version => Metadata("LibTorchVersion");

    /// <summary>Throws if libtorch is not loaded.</summary>
    /// <exception cref="KoalaException">libtorch was not found or could not be loaded.</exception>
    public static void EnsureLoaded()
    {
        if (s_failure is not null) throw s_failure;
    }

    internal static void Prepare()
    {
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64) return;
        OpenMpWaiting.LetThreadsSleep();
        try
        {
            Load();
        }
        catch (KoalaException e)
        {
            // Kept for EnsureLoaded: an exception from a module initializer would reach the user as a type load error.
            s_failure = e;
        }
        try
        {
            NativeLibrary.SetDllImportResolver(typeof(torch).Assembly, (name, _, _) =>
                name != "LibTorchSharp" ? IntPtr.Zero
                : s_failure is null ? s_bindings
                : throw new DllNotFoundException(s_failure.Message));
        }
        catch (InvalidOperationException)
        {
            // Another copy of this assembly, which a script host may load, has set it already, to the same libraries.
        }
    }

    private static void Load()
    {
        var (folder, origin) = FindLibraries();
        var bindings = FindBindings();
        foreach (var library in s_libraries)
        {
            var path = Path.Combine(folder, library);
            if (File.Exists(path)) LoadLibrary(path);
        }
        CheckComplete(bindings);
        try
        {
            s_bindings = NativeLibrary.Load(bindings);
        }
        catch (DllNotFoundException e) when (e.Message.Contains(WeakVersion.Name, StringComparison.Ordinal))
        {
            s_bindings = LoadLibrary(WeakVersion.PatchedCopy(bindings));
            BindingsPatched = true;
        }
        catch (DllNotFoundException e)
        {
            throw CannotLoad(bindings, e);
        }
        (Folder, Origin) = (folder, origin);
    }

    private static IntPtr LoadLibrary(string path)
    {
        CheckComplete(path);
        try
        {
            return NativeLibrary.Load(path);
        }
        catch (DllNotFoundException e)
        {
            throw CannotLoad(path, e);
        }
    }

    private static KoalaException CannotLoad(string path, DllNotFoundException e) =>
        new(path, $"cannot be loaded ({FirstLine(e.Message)})",
            $"check that it fits this system, or name another libtorch in {FolderVariable}", e);

    /// <summary>
    /// Checks that a library is complete. If it was cut off, for example by a broken download, the process would end when the system's
    /// loader accesses the missing part.
    /// </summary>
    /// <exception cref="KoalaException">The file ends before the end of its section table, which is the last part of a library.</exception>
    internal static void CheckComplete(string path)
    {
        Span<byte> header = stackalloc byte[64];
        long length;
        try
        {
            using var file = File.OpenHandle(path);
            length = RandomAccess.GetLength(file);
            if (RandomAccess.Read(file, header, 0) < header.Length) header.Clear();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KoalaException(path, $"cannot be read ({e.Message.TrimEnd('.')})", "make the file readable", e);
        }
        var table = BinaryPrimitives.ReadUInt64LittleEndian(header[0x28..]);
        var size = (ulong)BinaryPrimitives.ReadUInt16LittleEndian(header[0x3a..]) * BinaryPrimitives.ReadUInt16LittleEndian(header[0x3c..]);
        if (!header[..4].SequenceEqual("\u007fELF"u8) || table > (ulong)length || size > (ulong)length - table)
            throw new KoalaException(path, $"is not a complete library: it has {length} bytes",
                $"restore it (`dotnet restore --force` after deleting its folder), or name another libtorch in {FolderVariable}");
    }

    private static (string Folder, string Origin) FindLibraries()
    {
        if (Environment.GetEnvironmentVariable(FolderVariable) is { Length: > 0 } named)
        {
            if (!HasLibraries(named))
                throw new KoalaException($"{FolderVariable}={named}", "contains no libtorch_cpu.so",
                    "name the lib folder of a libtorch, or of PyTorch (.../torch/lib)");
            return (Path.GetFullPath(named), FolderVariable);
        }
        // A published folder has the libraries directly; a build that copied a package with CUDA has them under runtimes.
        var beside = AssemblyFolder();
        foreach (var folder in (string[])[beside, Path.Combine(beside, "runtimes", "linux-x64", "native")])
            if (HasLibraries(folder)) return (folder, "beside the assembly");
        foreach (var root in PackageRoots())
        {
            var cached = Path.Combine(root, "libtorch-cpu-linux-x64", Version, "runtimes", "linux-x64", "native");
            if (HasLibraries(cached)) return (cached, "package cache");
        }
        if (Metadata("Backend") == "external")
            throw new KoalaException("libtorch", "is not named: this build of Koala does not include one",
                $"name the lib folder of a PyTorch: export {FolderVariable}="
                + "$(python3 -c 'import os, torch; print(os.path.join(os.path.dirname(torch.__file__), \"lib\"))')");
        throw new KoalaException("libtorch", $"version {Version} is neither beside the assembly ({beside}) nor in the package cache",
            $"run `dotnet restore` in the project, name a package cache that is elsewhere in {PackagesVariable}, "
            + $"or name a libtorch's or PyTorch's lib folder in {FolderVariable}");
    }

    private static string FindBindings()
    {
        var beside = Path.Combine(AssemblyFolder(), Bindings);
        if (File.Exists(beside)) return beside;
        foreach (var root in PackageRoots())
        {
            var cached = Path.Combine(root, "torchsharp", Metadata("TorchSharpVersion"), "runtimes", "linux-x64", "native", Bindings);
            if (File.Exists(cached)) return cached;
        }
        throw new KoalaException(Bindings, "is neither beside the assembly nor in the package cache",
            $"run `dotnet restore` in the project, or name a package cache that is elsewhere in {PackagesVariable}");
    }

    private static bool HasLibraries(string folder) => File.Exists(Path.Combine(folder, "libtorch_cpu.so"));

    private static string AssemblyFolder() =>
        Path.GetDirectoryName(typeof(LibTorch).Assembly.Location) is { Length: > 0 } folder ? folder : AppContext.BaseDirectory;

    // The two places that NuGet has without a setting in a file. The build's own place is not recorded, because what is built
    // holds no path of the machine that built it.
    private static IEnumerable<string> PackageRoots()
    {
        string?[] roots =
        [
            Environment.GetEnvironmentVariable(PackagesVariable),
            Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages"),
        ];
        // If there is no home, the last one would be a folder below the working directory.
        return roots.Where(Path.IsPathRooted).Distinct().Cast<string>();
    }

    private static string Metadata(string key) => typeof(LibTorch).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
        .FirstOrDefault(a => a.Key == key)?.Value ?? "";

    private static string FirstLine(string text) => text.Split('\n', 2)[0].Trim();
}
