using System.Diagnostics;
using System.Security;
using System.Text;
using System.Text.Json.Nodes;
using Koala.Lab;

namespace Koala.Kernel.Packages;

/// <summary>The NuGet packages of a session: each request restores all of them together with <c>dotnet restore</c>, so that versions fit.</summary>
internal sealed class PackageSession
{
    private const string Target = "net10.0";

    private readonly string _folder = Path.Combine(Path.GetTempPath(), $"koala-packages-{Environment.ProcessId}-{Guid.NewGuid():N}");
    private readonly Dictionary<string, PackageReference> _asked = new(StringComparer.OrdinalIgnoreCase);
    private readonly Dictionary<string, string> _loaded = new(StringComparer.OrdinalIgnoreCase);
    private readonly List<string> _sources = [];

    /// <summary>A folder or feed beside the user's own.</summary>
    public void AddSource(string source)
    {
        var full = Directory.Exists(source) ? Path.GetFullPath(source) : source;
        if (!_sources.Contains(full)) _sources.Add(full);
    }

    /// <summary>Restores further packages.</summary>
    /// <exception cref="KoalaException">One cannot be had, or is loaded in another version; none of them is remembered then.</exception>
    public async Task<RestoredPackages> AddAsync(IReadOnlyList<PackageReference> asked, CancellationToken cancel)
    {
        foreach (var package in asked)
        {
            if (_asked.TryGetValue(package.Name, out var earlier) && earlier.Version != package.Version && package.Version != "*" && _loaded.GetValueOrDefault(package.Name) != package.Version.Trim('[', ']'))
                throw new KoalaException($"#r \"nuget: {package.Name}, {package.Version}\"", $"{package.Name} {_loaded.GetValueOrDefault(package.Name) ?? earlier.Version} is loaded already",
                    $"restart the kernel to use {package.Version}");
        }
        var all = new Dictionary<string, PackageReference>(_asked, StringComparer.OrdinalIgnoreCase);
        foreach (var package in asked) all.TryAdd(package.Name, package);
        var assets = await RestoreAsync(all.Values, cancel).ConfigureAwait(false);
        var restored = Read(assets, asked);
        foreach (var (name, package) in all) _asked[name] = package;
        return restored;
    }

    private RestoredPackages Read(JsonNode assets, IReadOnlyList<PackageReference> asked)
    {
        var roots = assets["packageFolders"]!.AsObject().Select(folder => folder.Key).ToArray();
        var libraries = assets["libraries"]!.AsObject();
        var target = assets["targets"]!.AsObject().First(t => t.Key.StartsWith(Target + "/", StringComparison.Ordinal)).Value!.AsObject();
        List<string> compile = [], runtime = [], native = [], extensions = [];
        var versions = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        foreach (var (key, library) in target)
        {
            var (name, version) = (key.Split('/')[0], key.Split('/')[1]);
            versions[name] = version;
            if (_loaded.TryGetValue(name, out var loaded) && loaded != version)
                throw new KoalaException($"{name} {version}", $"is needed by {string.Join(", ", asked.Select(p => p.Name))}, but {name} {loaded} is loaded already", "restart the kernel and ask for all packages in one cell");
            var folder = roots.Select(root => Path.Combine(root, libraries[key]!["path"]!.GetValue<string>())).FirstOrDefault(Directory.Exists);
            if (folder is null) continue;
            compile.AddRange(Files(library!["compile"]));
            runtime.AddRange(Files(library["runtime"]));
            native.AddRange(Files(library["native"]).Select(file => Path.GetDirectoryName(file)!));
            var extension = Path.Combine(folder, "interactive-extensions", "dotnet", "extension.dib");
            if (!_loaded.ContainsKey(name) && File.Exists(extension)) extensions.Add(extension);

            IEnumerable<string> Files(JsonNode? node) => node is not JsonObject files ? []
                : files.Select(file => Path.Combine(folder, file.Key)).Where(file => !file.EndsWith("_._", StringComparison.Ordinal));
        }
        foreach (var (name, version) in versions) _loaded[name] = version;
        return new RestoredPackages([.. asked.Select(p => new PackageReference(p.Name, versions.GetValueOrDefault(p.Name, p.Version)))], compile, runtime, [.. native.Distinct()], extensions);
    }

    private async Task<JsonNode> RestoreAsync(IEnumerable<PackageReference> packages, CancellationToken cancel)
    {
        Directory.CreateDirectory(_folder);
        try
        {
            var project = Path.Combine(_folder, "packages.csproj");
            await File.WriteAllTextAsync(project, Project(packages), cancel).ConfigureAwait(false);
            var start = new ProcessStartInfo("dotnet") { WorkingDirectory = _folder, RedirectStandardOutput = true, RedirectStandardError = true };
            foreach (var argument in (string[])["restore", project, "-v", "q", "-nologo", "-tl:off", "-nodeReuse:false"]) start.ArgumentList.Add(argument);
            // No build server may stay behind.
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
            return JsonNode.Parse(await File.ReadAllTextAsync(Path.Combine(_folder, "obj", "project.assets.json"), cancel).ConfigureAwait(false))!;
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
            throw new KoalaException("dotnet", "is not on the path, and packages are restored with it", "install the .NET 10 SDK", e);
        }
    }

    private static KoalaException Failed(IEnumerable<PackageReference> packages, string log, int exitCode)
    {
        var lines = log.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        var cause = lines.FirstOrDefault(line => line.Contains("error", StringComparison.OrdinalIgnoreCase)) ?? lines.LastOrDefault() ?? $"exit code {exitCode}";
        // "/tmp/…/packages.csproj : error NU1101: Unable to find package X. …"
        var text = cause[(cause.IndexOf("error ", StringComparison.OrdinalIgnoreCase) is var at and >= 0 ? at : 0)..];
        return new KoalaException($"#r \"nuget: {packages.Last().Name}\"", $"the restore failed ({text.TrimEnd('.')})", "check name, version and sources (`#i \"nuget: FOLDER-OR-FEED\"` adds one)");
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
            text.Append($"    <PackageReference Include=\"{SecurityElement.Escape(package.Name)}\" Version=\"{SecurityElement.Escape(package.Version)}\" />\n");
        return text.Append("  </ItemGroup>\n</Project>\n").ToString();
    }
}
