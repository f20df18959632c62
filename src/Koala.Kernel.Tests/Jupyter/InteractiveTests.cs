using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Koala.Kernel.Tests.Cells;
using Koala.Lab.Runtime.Native;

namespace Koala.Kernel.Tests.Jupyter;

/// <summary>
/// The package Koala.Lab.Interactive in the real .NET Interactive, through Jupyter's client: the quickstart shows there what it shows in
/// Koala's own kernel.
/// </summary>
public sealed partial class InteractiveTests : IDisposable
{
    private const string Tool = "dotnet-interactive";

    // Both kernels run these as well.
    private static readonly string[] s_commands =
    [
        "#!koala generate --target ../checkpoints/koala-nano --prompt \"Why is the sky blue?\" --max-tokens 12 --quiet --name answer\n"
            + "$\"{answer.Tokens.Count} tokens\"",
        "#!koala train --target ../checkpoints/koala-nano --head medusa --data ../data/chats-train.jsonl.gz --steps 4 --out ../run "
            + "--quiet --name run\n$\"{System.IO.Path.GetFileName(run.HeadFolder)}, {MetricsLog.Read(run.MetricsFile).Count} steps\"",
    ];

    private readonly TemporaryFolder _folder = new();
    private readonly string _version = TestPackages.NewVersion("interactive");

    [Fact]
    public void Shows_of_the_quickstart_what_Koalas_kernel_shows()
    {
        var tool = FindTool();
        Assert.SkipWhen(tool is null, $"there is no {Tool} (dotnet tool install --global Microsoft.dotnet-interactive)");
        using var python = Python.With("nbclient", "nbformat");
        python.Install("interactive", new JsonObject
        {
            ["argv"] = new JsonArray(tool, "jupyter", "--default-kernel", "csharp", "{connection_file}"),
            ["display_name"] = "interactive",
            ["language"] = "C#",
            ["env"] = new JsonObject { ["DOTNET_INTERACTIVE_CLI_TELEMETRY_OPTOUT"] = "1" },
        }.ToJsonString());
        foreach (var project in (string[])["Koala.Lab", "Koala.Lab.Interactive"]) TestPackages.Pack(project, _version, _folder.At("feed"));

        var interactive = Execute(python, "interactive", SetupOfPackage());
        var koala = Execute(python, "koala-csharp", "#load \"_setup.csx\"");

        Assert.Equal(koala.Length, interactive.Length);
        foreach (var (expected, actual) in koala.Zip(interactive)) Assert.Equal(expected, actual);
        Assert.Equal(3, koala.Count(cell => cell.Contains("\"data\":[{", StringComparison.Ordinal)));
        Assert.Contains(koala, cell => cell.EndsWith("12 tokens", StringComparison.Ordinal));
        Assert.Contains(koala, cell => cell.EndsWith("head, 4 steps", StringComparison.Ordinal));
    }

    public void Dispose()
    {
        _folder.Dispose();
        foreach (var project in (string[])["Koala.Lab", "Koala.Lab.Interactive"]) TestPackages.Remove(project, _version);
    }

    private static string? FindTool()
    {
        var home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        var folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator);
        return folders.Append(Path.Combine(home, ".dotnet", "tools"))
            .Select(folder => Path.Combine(folder, Tool)).FirstOrDefault(File.Exists);
    }

    // What _setup.csx does, with the package in place of the clone's build.
    private string SetupOfPackage()
    {
        var usings = File.ReadLines(TestFiles.At("notebooks", "_setup.csx"))
            .Where(line => line.StartsWith("global using ", StringComparison.Ordinal)).Select(line => line["global ".Length..]);
        return $"""
            #i "nuget: {_folder.At("feed")}"
            #r "nuget: libtorch-cpu-linux-x64, {LibTorch.Version}"
            #r "nuget: Koala.Lab.Interactive, {_version}"
            {string.Join('\n', usings)}
            """;
    }

    // Executes the quickstart with little training, and returns what each cell shows that does not depend on time.
    private string[] Execute(Python python, string kernel, string setup)
    {
        // For the notebook, the folder looks like a clone of the repository.
        var clone = Directory.CreateDirectory(_folder.At(kernel)).FullName;
        foreach (var name in (string[])["checkpoints", "data", "src"])
            Directory.CreateSymbolicLink(Path.Combine(clone, name), TestFiles.At(name));
        var notebooks = Directory.CreateDirectory(Path.Combine(clone, "notebooks")).FullName;
        File.Copy(TestFiles.At("notebooks", "_setup.csx"), Path.Combine(notebooks, "_setup.csx"));
        var json = File.ReadAllText(TestFiles.At("notebooks", "01-quickstart.ipynb"));
        File.WriteAllText(Path.Combine(notebooks, "quickstart.ipynb"), json);
        var (exitCode, text) = python.Run(notebooks, "-c", """
            import json, re, sys, nbclient, nbformat
            kernel, setup, commands = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
            nb = nbformat.read("quickstart.ipynb", as_version=4)
            # A report measures times, and from them comes the draft length that its answers were drafted with.
            nb.cells = [cell for cell in nb.cells if cell.cell_type == "code"]
            for cell in nb.cells:
                cell.source = "\n".join(line for line in cell.source.split("\n") if not re.search("[rR]eport", line))
            nb.cells = [cell for cell in nb.cells if cell.source]
            nb.cells += [nbformat.v4.new_code_cell(command) for command in commands]
            for cell in nb.cells:
                if cell.source.startswith("#load"): cell.source = setup
                if "parameters" in cell.metadata.get("tags", []):
                    cell.source = re.sub(r"\bsteps = \d+;", "steps = 20;", cell.source)
            nbclient.NotebookClient(nb, timeout=120, kernel_name=kernel).execute()
            nbformat.write(nb, "executed.ipynb")
            """, kernel, setup, new JsonArray([.. s_commands.Select(command => JsonValue.Create(command))]).ToJsonString());
        Assert.True(exitCode == 0, text);
        var cells = JsonNode.Parse(File.ReadAllText(Path.Combine(notebooks, "executed.ipynb")))!["cells"]!.AsArray();
        // nbclient keeps the first state of a figure that .NET Interactive updates.
        return [.. cells.Skip(1).Select(cell => cell!).Where(cell => !Text(cell["source"]).Contains(".Update("))
            .Select(cell => Shown(cell).Replace(clone, "clone", StringComparison.Ordinal))];
    }

    // The figure of an output if it has one, or else its text; the kernels have different HTML.
    private static string Shown(JsonNode cell)
    {
        var shown = cell["outputs"]!.AsArray().Select(output => output!["data"]?["application/vnd.plotly.v1+json"] is { } figure
            ? Canonical(figure)
            : Text(output["text"] ?? output["data"]?["text/plain"] ?? output["data"]?["text/html"]));
        return Tag().Replace(string.Concat(shown), "");
    }

    // JSON with sorted names and numbers of one form. .NET Interactive sends JSON as text.
    private static string Canonical(JsonNode? node) => node switch
    {
        JsonObject o => "{"
            + string.Join(',', o.OrderBy(p => p.Key, StringComparer.Ordinal).Select(p => $"\"{p.Key}\":{Canonical(p.Value)}")) + "}",
        JsonArray a => $"[{string.Join(',', a.Select(Canonical))}]",
        JsonValue v when v.TryGetValue(out double number) => number.ToString("R", CultureInfo.InvariantCulture),
        JsonValue v when v.TryGetValue(out string? text) => text.StartsWith("{\"data\":", StringComparison.Ordinal)
            ? Canonical(JsonNode.Parse(text))
            : v.ToJsonString(),
        _ => node?.ToJsonString() ?? "null",
    };

    private static string Text(JsonNode? node) =>
        node is JsonArray lines ? string.Concat(lines.Select(line => line!.ToString())) : node?.ToString() ?? "";

    // .NET Interactive shows a string as HTML.
    [GeneratedRegex("<[^>]*>")]
    private static partial Regex Tag();
}
