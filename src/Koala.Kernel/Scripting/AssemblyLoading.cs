using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.Loader;
using Koala.Kernel.Display;
using Koala.Lab.Runtime.Native;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Scripting.Hosting;

namespace Koala.Kernel.Scripting;

/// <summary>Loads what cells refer to into the process's own load context, so that a type is the same type everywhere.</summary>
/// <remarks>The scripting loader gives each folder a context of its own: packages that share an assembly would get two of it.</remarks>
internal sealed class AssemblyLoading : IDisposable
{
    private readonly References _references;
    private readonly HashSet<string> _registered = new(StringComparer.OrdinalIgnoreCase);
    private readonly List<string> _nativeFolders = [];

    public AssemblyLoading(References references)
    {
        _references = references;
        AssemblyLoadContext.Default.Resolving += OnResolving;
        AssemblyLoadContext.Default.ResolvingUnmanagedDll += OnResolvingUnmanaged;
        AppDomain.CurrentDomain.AssemblyLoad += OnLoad;
    }

    public InteractiveAssemblyLoader Loader { get; } = new();

    /// <summary>A folder with native libraries of packages.</summary>
    public void AddNativeFolder(string folder)
    {
        lock (_nativeFolders)
            if (!_nativeFolders.Contains(folder)) _nativeFolders.Add(folder);
    }

    /// <summary>Loads the files that a compiled cell refers to beyond those of earlier cells.</summary>
    public void Load(Compilation compilation)
    {
        foreach (var reference in compilation.ExternalReferences.Concat(compilation.DirectiveReferences).OfType<PortableExecutableReference>())
        {
            if (reference.FilePath is { } path && _registered.Add(path)) Register(path);
        }
    }

    public void Dispose()
    {
        AssemblyLoadContext.Default.Resolving -= OnResolving;
        AssemblyLoadContext.Default.ResolvingUnmanagedDll -= OnResolvingUnmanaged;
        AppDomain.CurrentDomain.AssemblyLoad -= OnLoad;
        Loader.Dispose();
    }

    // TorchSharp by itself does not find libtorch in the package cache; the library, which a cell may not have touched yet, does.
    private static void OnLoad(object? sender, AssemblyLoadEventArgs args)
    {
        if (args.LoadedAssembly.GetName().Name == "TorchSharp") LoadLibTorch();
    }

    // Apart: a method that names the library loads it, and libtorch with it, when it is compiled.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void LoadLibTorch()
    {
        LibTorch.EnsureLoaded();
        TensorText.Register();
    }

    private void Register(string path)
    {
        var name = AssemblyName.GetAssemblyName(path);
        Assembly assembly;
        try
        {
            assembly = AssemblyLoadContext.Default.LoadFromAssemblyName(new AssemblyName(name.Name!));
        }
        catch (FileNotFoundException)
        {
            assembly = AssemblyLoadContext.Default.LoadFromAssemblyPath(path);
        }
        Loader.RegisterDependency(assembly);
    }

    private Assembly? OnResolving(AssemblyLoadContext context, AssemblyName name) =>
        name.Name is { } simple && _references.FileOf(simple) is { } path && File.Exists(path) ? context.LoadFromAssemblyPath(path)
        : Beside(name) is { } beside ? context.LoadFromAssemblyPath(beside)
        : null;

    // Needed by an assembly that a cell named by its file, and lying next to it.
    private string? Beside(AssemblyName name)
    {
        lock (_registered)
            return _registered.Select(path => Path.Combine(Path.GetDirectoryName(path)!, name.Name + ".dll")).FirstOrDefault(File.Exists);
    }

    private IntPtr OnResolvingUnmanaged(Assembly assembly, string name)
    {
        string[] folders;
        lock (_nativeFolders) folders = [.. _nativeFolders, Path.GetDirectoryName(assembly.Location) ?? ""];
        foreach (var folder in folders)
            foreach (var file in (string[])[name, $"lib{name}.so", $"{name}.so", $"lib{name}", $"{name}.dll", $"lib{name}.dylib"])
                if (Path.Combine(folder, file) is var path && File.Exists(path) && System.Runtime.InteropServices.NativeLibrary.TryLoad(path, out var handle)) return handle;
        return IntPtr.Zero;
    }
}
