using System.Diagnostics;
using System.Security;
using System.Text;
using System.Text.Json.Nodes;
using Koala.Lab;

namespace Koala.Kernel.Packages;

/// <summary>
/// The NuGet packages of a session. Each request restores all of them together with <c>dotnet restore</c>, so that
/// their versions fit.
/// </summary>
internal sealed class PackageSession
{
    private const string Target = "net10.0";

    private readonly string _folder =
        Path.Combine(Path.GetTempPath(), $"koala-packages-{Environment.ProcessId}-{Guid.NewGuid():N}");
    private readonly Dictionary<string, PackageReference> _requested = new(StringComparer.OrdinalIgnoreCase);
    private readonly Dictionary<string, string> _loaded = new(StringComparer.OrdinalIgnoreCase);
    private readonly List<string> _sources = [];

    /// <summary>Adds a folder or feed to the sources that the user has configured.</summary>
    public void AddSource(string source)
    {
        var full = Directory.Exists(source) ? Path.GetFullPath(source) : source;
        if (!_sources.Contains(full)) _sources.Add(full);
    }

    /// <summary>Restores further packages.</summary>
    /// <exception cref="KoalaException">
    /// A package cannot be restored, or another version of it is loaded; then none of the packages is added.
    /// </exception>
    public async Task<RestoredPackages> AddAsync(IReadOnlyList<PackageReference> requested, CancellationToken cancel)
    {
        foreach (var package in requested) CheckVersion(package);
        var all = new Dictionary<string, PackageReference>(_requested, StringComparer.OrdinalIgnoreCase);
        foreach (var package in requested) all.TryAdd(package.Name, package);
        var assets = await RestoreAsync(all.Values, cancel).ConfigureAwait(false);
        var restored = Read(assets, requested);
        foreach (var (name, package) in all) _requested[name] = package;
        return restored;
    }

    private void CheckVersion(PackageReference package)
    {
        if (!_requested.TryGetValue(package.Name, out var earlier)) return;
        var loaded = _loaded.GetValueOrDefault(package.Name);
        if (package.Version == earlier.Version || package.Version == "*" || package.Version.Trim('[', ']') == loaded) return;
        throw new KoalaException($"#r \"nuget: {package.Name}, {package.Version}\"",
            $"{package.Name} {loaded ?? earlier.Version} is loaded already", $"restart the kernel to use {package.Version}");
    }

    private RestoredPackages Read(JsonNode assets, IReadOnlyList<PackageReference> requested)
    {
        var roots = assets["packageFolders"]!.AsObject().Select(folder => folder.Key).ToArray();
        var libraries = assets["libraries"]!.AsObject();
        var targets = assets["targets"]!.AsObject();
        var target = targets.First(t => t.Key.StartsWith(Target + "/", StringComparison.Ordinal)).Value!.AsObject();
        List<string> compile = [], runtime = [], native = [], extensions = [];
        var versions = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        foreach (var (key, library) in target)
        {
            var (name, version) = (key.Split('/')[0], key.Split('/')[1]);
            versions[name] = version;
            if (_loaded.TryGetValue(name, out var loaded) && loaded != version)
            {
                var names = string.Join(", ", requested.Select(p => p.Name));
                throw new KoalaException($"{name} {version}", $"is needed by {names}, but {name} {loaded} is loaded already",
                    "restart the kernel and request all packages in one cell");
            }
            var path = libraries[key]!["path"]!.GetValue<string>();
            var folder = roots.Select(root => Path.Combine(root, path)).FirstOrDefault(Directory.Exists);
            if (folder is null) continue;
            compile.AddRange(Files(library!["compile"]));
            runtime.AddRange(Files(library["runtime"]));
            native.AddRange(Files(library["native"]).Select(file => Path.GetDirectoryName(file)!));
            var extension = Path.Combine(folder, "interactive-extensions", "dotnet", "extension.dib");
            if (!_loaded.ContainsKey(name) && File.Exists(extension)) extensions.Add(extension);

            // A file named _._ stands for an empty folder.
            IEnumerable<string> Files(JsonNode? node) => node is not JsonObject files ? []
                : files.Select(file => Path.Combine(folder, file.Key)).Where(file => !file.EndsWith("_._", StringComparison.Ordinal));
        }
        foreach (var (name, version) in versions) _loaded[name] = version;
        var added = requested.Select(p => new PackageReference(p.Name, versions.GetValueOrDefault(p.Name, p.Version)));
        return new RestoredPackages([.. added], compile, runtime, [.. native.Distinct()], extensions);
    }

    private async Task<JsonNode> RestoreAsync(IEnumerable<PackageReference> packages, CancellationToken cancel)
    {
        Directory.CreateDirectory(_folder);
        try
        {
            var project = Path.Combine(_folder, "packages.csproj");
            await File.WriteAllTextAsync(project, Project(packages), cancel).ConfigureAwait(false);
            var start = new ProcessStartInfo("dotnet", ["restore", project, "-v", "q", "-nologo", "-tl:off", "-nodeReuse:false"])
            {
                WorkingDirectory = _folder,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            };
            // No build server may keep running after the restore.
            start.Environment["DOTNET_CLI_USE_MSBUILD_SERVER"] = "0";
            start.Environment["DOTNET_CLI_TELEMETRY_OPTOUT"] = "1";
            start.Environment["DOTNET_CLI_UI_LANGUAGE"] = "en";
            using var process = Start(start);
            await using var ending = cancel.Register(() => process.Kill(entireProcessTree: true)).ConfigureAwait(false);
            var errors = process.StandardError.ReadToEndAsync(CancellationToken.None);
            var log = await process.StandardOutput.ReadToEndAsync(CancellationToken.None).ConfigureAwait(false);
            await process.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
            cancel.ThrowIfCancellationRequested();
            if (process.ExitCode != 0) throw Failed(packages, $"{log}\n{await errors.ConfigureAwait(false)}", process.ExitCode);
            var assets = Path.Combine(_folder, "obj", "project.assets.json");
            return JsonNode.Parse(await File.ReadAllTextAsync(assets, cancel).ConfigureAwait(false))!;
        }
        finally
        {
            Directory.Delete(_folder, recursive: true);
        }
    }

    private static Process Start(ProcessStartInfo start)
    {
        try
        {
            return Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new KoalaException("dotnet", "is not on the path, but restoring packages needs it", "install the .NET 10 SDK", e);
        }
    }

    private static KoalaException Failed(IEnumerable<PackageReference> packages, string log, int exitCode)
    {
        var lines = log.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        var error = lines.FirstOrDefault(line => line.Contains("error", StringComparison.OrdinalIgnoreCase));
        var cause = error ?? lines.LastOrDefault() ?? $"exit code {exitCode}";
        // A line looks like "/tmp/…/packages.csproj : error NU1101: Unable to find package X. …"; the path is left out.
        var text = cause[Math.Max(0, cause.IndexOf("error ", StringComparison.OrdinalIgnoreCase))..];
        return new KoalaException($"#r \"nuget: {packages.Last().Name}\"", $"the restore failed ({text.TrimEnd('.')})",
            "check name, version and sources (`#i \"nuget: FOLDER-OR-FEED\"` adds a source)");
    }

    private string Project(IEnumerable<PackageReference> packages)
    {
        var text = new StringBuilder($"""
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <TargetFramework>{Target}</TargetFramework>
                <RuntimeIdentifier>{System.Runtime.InteropServices.RuntimeInformation.RuntimeIdentifier}</RuntimeIdentifier>
                <SelfContained>false</SelfContained>
                <UseAppHost>false</UseAppHost>
                <NuGetAudit>false</NuGetAudit>
                <DisableImplicitNuGetFallbackFolder>true</DisableImplicitNuGetFallbackFolder>
                <RestoreAdditionalProjectSources>{SecurityElement.Escape(string.Join(';', _sources))}</RestoreAdditionalProjectSources>
              </PropertyGroup>
              <ItemGroup>

            """);
        foreach (var package in packages)
        {
            var (name, version) = (SecurityElement.Escape(package.Name), SecurityElement.Escape(package.Version));
            text.Append($"    <PackageReference Include=\"{name}\" Version=\"{version}\" />\n");
        }
        return text.Append("  </ItemGroup>\n</Project>\n").ToString();
    }
}
