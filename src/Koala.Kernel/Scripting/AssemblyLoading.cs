using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Loader;
using Koala.Kernel.Display;
using Koala.Lab.Runtime.Native;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Scripting.Hosting;

namespace Koala.Kernel.Scripting;

/// <summary>
/// Loads the assemblies that cells refer to into the default load context, so that a type is the same type everywhere.
/// </summary>
/// <remarks>
/// The scripting loader gives each folder its own context, so packages that share an assembly would get two copies of
/// it.
/// </remarks>
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
        // Whoever runs the engine in a process of their own may have loaded TorchSharp already.
        if (AppDomain.CurrentDomain.GetAssemblies().Any(IsTorchSharp)) LoadLibTorch();
    }

    public InteractiveAssemblyLoader Loader { get; } = new();

    /// <summary>Adds a folder with native libraries of packages.</summary>
    public void AddNativeFolder(string folder)
    {
        lock (_nativeFolders)
            if (!_nativeFolders.Contains(folder)) _nativeFolders.Add(folder);
    }

    /// <summary>Loads the files that a compiled cell refers to and that no earlier cell has loaded.</summary>
    public void Load(Compilation compilation)
    {
        var references = compilation.ExternalReferences.Concat(compilation.DirectiveReferences);
        foreach (var reference in references.OfType<PortableExecutableReference>())
        {
            if (reference.FilePath is { } path && _registered.Add(path)) Register(path);
        }
    }

    /// <summary>Checks that no older assembly with the name of a package's file is loaded.</summary>
    /// <exception cref="Koala.Lab.KoalaException">One is loaded; the message says what helps.</exception>
    public void CheckPackage(string path)
    {
        // What belongs to this process is there in every session; packages that name a newer version of it mostly do without.
        if (LoadedOf(AssemblyName.GetAssemblyName(path)) is { } loaded && _registered.Contains(loaded.Location)) CheckVersion(path, loaded);
    }

    /// <summary>Checks that no older assembly is loaded with the name of a file that the cell refers to.</summary>
    /// <exception cref="Koala.Lab.KoalaException">One is loaded; the message says what helps.</exception>
    public void CheckFiles(Compilation compilation)
    {
        foreach (var reference in compilation.DirectiveReferences.OfType<PortableExecutableReference>())
        {
            if (reference.FilePath is not { } path || _registered.Contains(path)) continue;
            if (LoadedOf(AssemblyName.GetAssemblyName(path)) is { } loaded) CheckVersion(path, loaded);
        }
    }

    public void Dispose()
    {
        AssemblyLoadContext.Default.Resolving -= OnResolving;
        AssemblyLoadContext.Default.ResolvingUnmanagedDll -= OnResolvingUnmanaged;
        AppDomain.CurrentDomain.AssemblyLoad -= OnLoad;
        Loader.Dispose();
    }

    // TorchSharp does not find libtorch in the package cache. The library does, but the cell may not have used the
    // library yet.
    private static void OnLoad(object? sender, AssemblyLoadEventArgs args)
    {
        if (IsTorchSharp(args.LoadedAssembly)) LoadLibTorch();
    }

    private static bool IsTorchSharp(Assembly assembly) => assembly.GetName().Name == "TorchSharp";

    // This is a separate method, because compiling a method that names the library loads the library and libtorch.
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

    private static Assembly? LoadedOf(AssemblyName name) =>
        AssemblyLoadContext.Default.Assemblies.FirstOrDefault(assembly => assembly.GetName().Name == name.Name);

    private static void CheckVersion(string path, Assembly loaded)
    {
        var wanted = AssemblyName.GetAssemblyName(path);
        if (loaded.GetName().Version is not { } version || !(version < wanted.Version)) return;
        throw Fault.Create(path, $"is version {wanted.Version} of {wanted.Name}, but version {version} is loaded already",
            "restart the kernel and refer to the newer one first");
    }

    private Assembly? OnResolving(AssemblyLoadContext context, AssemblyName name) =>
        name.Name is { } simple && _references.FileOf(simple) is { } path && File.Exists(path) ? context.LoadFromAssemblyPath(path)
        : FindBesideRegistered(name) is { } neighbor ? context.LoadFromAssemblyPath(neighbor)
        : null;

    // An assembly that a cell named by its file may need another assembly in the same folder.
    private string? FindBesideRegistered(AssemblyName name)
    {
        lock (_registered)
            return _registered.Select(path => Path.Combine(Path.GetDirectoryName(path)!, name.Name + ".dll")).FirstOrDefault(File.Exists);
    }

    private IntPtr OnResolvingUnmanaged(Assembly assembly, string name)
    {
        string[] folders;
        lock (_nativeFolders) folders = [.. _nativeFolders, Path.GetDirectoryName(assembly.Location) ?? ""];
        string[] files = [name, $"lib{name}.so", $"{name}.so", $"lib{name}", $"{name}.dll", $"lib{name}.dylib"];
        foreach (var path in folders.SelectMany(folder => files.Select(file => Path.Combine(folder, file))).Where(File.Exists))
        {
            if (NativeLibrary.TryLoad(path, out var handle)) return handle;
        }
        return IntPtr.Zero;
    }
}
