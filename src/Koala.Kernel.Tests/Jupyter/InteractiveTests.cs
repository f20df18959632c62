using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Koala.Lab.Targets;

namespace Koala.Kernel.Tests.Jupyter;

/// <summary>
/// The package Koala.Lab.Interactive in the real .NET Interactive. Through Jupyter's client the quickstart shows there what it shows in
/// Koala's own kernel; editors can interrupt its training and complete its code.
/// </summary>
public sealed partial class InteractiveTests(InteractiveTool tool) : IClassFixture<InteractiveTool>, IDisposable
{
    // Both kernels run these as well.
    private static readonly string[] s_commands =
    [
        "#!koala generate --target ../checkpoints/koala-nano --prompt \"Why is the sky blue?\" --max-tokens 12 --quiet --name answer\n"
            + "$\"{answer.Tokens.Count} tokens\"",
        "#!koala train --target ../checkpoints/koala-nano --head medusa --data ../data/chats-train.jsonl.gz --steps 4 --out ../run "
            + "--quiet --name run\n$\"{System.IO.Path.GetFileName(run.HeadFolder)}, {MetricsLog.Read(run.MetricsFile).Count} steps\"",
    ];

    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void Shows_of_the_quickstart_what_Koalas_kernel_shows()
    {
        var program = tool.Path;
        using var python = Python.With("nbclient", "nbformat");
        python.Install("interactive", new JsonObject
        {
            ["argv"] = new JsonArray(program, "jupyter", "--default-kernel", "csharp", "{connection_file}"),
            ["display_name"] = "interactive",
            ["language"] = "C#",
            ["env"] = new JsonObject { ["DOTNET_INTERACTIVE_CLI_TELEMETRY_OPTOUT"] = "1" },
        }.ToJsonString());

        var interactive = Execute(python, "interactive", tool.Setup);
        var koala = Execute(python, "koala-csharp", "#load \"_setup.csx\"");

        Assert.Equal(koala.Length, interactive.Length);
        foreach (var (expected, actual) in koala.Zip(interactive)) Assert.Equal(expected, actual);
        Assert.Equal(4, koala.Count(cell => cell.Contains("\"data\":[{", StringComparison.Ordinal)));
        Assert.Contains(koala, cell => cell.EndsWith("12 tokens", StringComparison.Ordinal));
        Assert.Contains(koala, cell => cell.EndsWith("head, 4 steps", StringComparison.Ordinal));

        // The last state of the figure that grew while the cell trained has all 20 steps.
        var live = koala.Single(cell => cell.Contains("Training losses", StringComparison.Ordinal));
        Assert.Contains(",20]", live, StringComparison.Ordinal);

        // A .dib file shows in the cell that imports it what the notebook's cells show, but for the figure that grew.
        var dib = Assert.Single(Execute(python, "interactive", tool.Setup, asDib: true));
        var offset = 0;
        foreach (var shown in koala.Where(cell => cell != live))
        {
            var found = dib.IndexOf(shown, offset, StringComparison.Ordinal);
            Assert.True(found >= 0, $"not in the output of the .dib, or not in this place: {shown}\n\n{dib}");
            offset = found + shown.Length;
        }
    }

    /// <summary>Half an hour of training must not be lost because somebody presses Stop.</summary>
    [Fact]
    public void Training_that_an_editor_interrupts_keeps_its_head_and_metrics_and_goes_on_from_them()
    {
        using var session = new InteractiveSession(tool, Clone("interrupted"));
        session.Run(tool.Setup);
        session.Run("""
            var target = Target.Load("../checkpoints/koala-nano");
            var chats = "../data/chats-validation.jsonl.gz";
            var options = new TrainingOptions { Steps = 1_000_000, Batch = 1, RowLength = 64, Warmup = 1 };
            var data = TrainingData.Load(target, chats, chats, options);
            """);
        var training = session.Submit("""
            var head = DraftHead.Create(new MedusaOptions(), target);
            var metrics = new List<StepMetrics>();
            using (var trainer = new Trainer(target, head, data, options))
                trainer.Run(step => { metrics.Add(step); if (metrics.Count == 3) Console.WriteLine("started"); }, save: () => { });
            """);
        session.Until(training, "StandardOutputValueProduced");
        session.Send("Cancel", new JsonObject { ["targetKernelName"] = ".NET" });
        Assert.Equal("CommandFailed", (string?)session.Until(training)[^1]["eventType"]);

        Assert.Contains("True", session.Run("metrics.Count >= 3 && head.MaxDraftLength > 0"), StringComparison.Ordinal);
        // Nothing trains on behind the cells that follow.
        Assert.Contains("True", session.Run(
            "var done = metrics.Count;\nSystem.Threading.Thread.Sleep(500);\nmetrics.Count == done"), StringComparison.Ordinal);
        Assert.Contains("True", session.Run("""
            using (var trainer = new Trainer(target, head, data, options with { Steps = 3 })) trainer.Run(metrics.Add, save: () => { });
            metrics.Count == done + 3
            """), StringComparison.Ordinal);

        const string Written = "target.Tok";
        var request = session.Send("RequestCompletions", new JsonObject
        {
            ["code"] = Written,
            ["linePosition"] = new JsonObject { ["line"] = 0, ["character"] = Written.Length },
            ["targetKernelName"] = "csharp",
        });
        var completions = session.Until(request).Select(@event => @event["event"]!["completions"]).OfType<JsonArray>().Single();
        Assert.Contains(nameof(Target.Tokenizer), completions.Select(completion => (string?)completion!["displayText"]));
    }

    public void Dispose() => _folder.Dispose();

    // Executes the quickstart with little training, and returns what each cell shows that does not depend on time.
    private string[] Execute(Python python, string kernel, string setup, bool asDib = false)
    {
        var clone = $"{kernel}{(asDib ? "-dib" : "")}";
        var notebooks = Clone(clone);
        var json = File.ReadAllText(TestFiles.At("notebooks", "01-quickstart.ipynb"));
        File.WriteAllText(Path.Combine(notebooks, "quickstart.ipynb"), json);
        var (exitCode, text) = python.Run(notebooks, "-c", """
            import json, re, sys, nbclient, nbformat
            kernel, setup, commands, as_dib = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), sys.argv[4] == "True"
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
            if as_dib:
                meta = '#!meta\n\n{"kernelInfo":{"defaultKernelName":"csharp","items":[{"name":"csharp"}]}}\n\n'
                with open("quickstart.dib", "w") as dib:
                    dib.write(meta + "".join(f"#!csharp\n\n{cell.source}\n\n" for cell in nb.cells[1:]))
                nb.cells = [nb.cells[0], nbformat.v4.new_code_cell("#!import quickstart.dib")]
            # How often a figure is updated depends on time, and of one of .NET Interactive nbclient keeps the first state.
            class Client(nbclient.NotebookClient):
                def process_message(self, message, cell, index):
                    figure = message["content"].get("data", {}).get("application/vnd.plotly.v1+json")
                    if figure and ".Update(" in cell.source: cell.metadata["final"] = figure
                    return super().process_message(message, cell, index)
            Client(nb, timeout=120, kernel_name=kernel).execute()
            nbformat.write(nb, "executed.ipynb")
            """, kernel, setup, new JsonArray([.. s_commands.Select(command => JsonValue.Create(command))]).ToJsonString(), $"{asDib}");
        Assert.True(exitCode == 0, text);
        var cells = JsonNode.Parse(File.ReadAllText(Path.Combine(notebooks, "executed.ipynb")))!["cells"]!.AsArray();
        return [.. cells.Skip(1).Select(cell => cell!)
            .Select(cell => cell["metadata"]!["final"] is { } final ? Canonical(final) : Shown(cell))
            .Select(shown => shown.Replace(_folder.At(clone), "clone", StringComparison.Ordinal))];
    }

    // The notebooks' folder in one that looks like a clone of the repository.
    private string Clone(string name)
    {
        Directory.CreateDirectory(_folder.At(name));
        foreach (var part in (string[])["checkpoints", "data", "src"])
            Directory.CreateSymbolicLink(_folder.At(name, part), TestFiles.At(part));
        var notebooks = Directory.CreateDirectory(_folder.At(name, "notebooks")).FullName;
        File.Copy(TestFiles.At("notebooks", "_setup.csx"), Path.Combine(notebooks, "_setup.csx"));
        return notebooks;
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
