using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Koala.Kernel.Tests.Notebooks;

namespace Koala.Kernel.Tests.Jupyter;

/// <summary>
/// Other people's clients; each test skips where they are not installed (Debian: python3-jupyter-kernel-test,
/// python3-nbclient, python3-nbconvert).
/// </summary>
public sealed partial class JupyterTests
{
    private static readonly string[] s_cells =
    [
        "var n = 5;\nn * 2",
        "Console.WriteLine(\"out\");\nConsole.Error.WriteLine(\"err\");\nConsole.WriteLine(\"again\");",
        "var d = display(1);\nd.Update(2);\nHTML(\"<b>x</b>\")",
        "for (var i = 0; i < 1000; i++) Console.WriteLine(i);\nnew[] { 1, 2 }",
    ];

    [Fact]
    public void Conforms_to_the_protocol()
    {
        using var python = Python.With("jupyter_kernel_test");
        var (exitCode, text) = python.Run(TestFiles.At("src", "Koala.Kernel.Tests", "Jupyter"), "conformance.py");

        Assert.True(exitCode == 0, text);
        Assert.Matches(@"OK \(skipped=1\)", text.TrimEnd());
    }

    [Fact]
    public void Gives_the_same_outputs_through_nbclient_as_by_itself()
    {
        using var python = Python.With("nbclient", "nbformat");
        using var folder = new TemporaryFolder();
        var notebook = folder.WriteNotebook("in.ipynb", s_cells);
        var (exitCode, text) = python.Run(folder.Path, "-c", """
            import nbclient, nbformat
            nb = nbformat.read("in.ipynb", as_version=4)
            nbclient.NotebookClient(nb, timeout=60).execute()
            nbformat.write(nb, "client.ipynb")
            """);
        Assert.True(exitCode == 0, text);
        Assert.Equal(0, CommandRun.Of("run", notebook, "--output", folder.At("own.ipynb"), "--quiet").ExitCode);

        Assert.Equal(Outputs(folder.At("client.ipynb")), Outputs(folder.At("own.ipynb")));
    }

    [Fact]
    public void What_it_writes_is_valid()
    {
        using var python = Python.With("nbformat");
        using var folder = new TemporaryFolder();
        var notebook = folder.WriteNotebook("in.ipynb", [.. s_cells, "throw new Exception(\"no\");"]);
        Assert.Equal(1, CommandRun.Of("run", notebook, "--output", folder.At("own.ipynb"), "--quiet").ExitCode);

        var (exitCode, text) = python.Run(folder.Path, "-c", "import nbformat; nb = nbformat.read('own.ipynb', as_version=4); nbformat.validate(nb); assert (nb.nbformat, nb.nbformat_minor) == (4, 5)");
        Assert.True(exitCode == 0, text);
    }

    [Fact]
    public void Restarts_asks_for_input_and_leaves_no_process()
    {
        using var python = Python.With("jupyter_client");
        using var folder = new TemporaryFolder();
        var (exitCode, text) = python.Run(folder.Path, "-c", """
            import os, time, jupyter_client
            manager = jupyter_client.KernelManager(kernel_name="koala-csharp")
            manager.start_kernel()
            client = manager.client()
            client.start_channels()
            client.wait_for_ready(timeout=60)
            first = manager.provisioner.process.pid
            client.execute_interactive("var x = 1;", timeout=60)
            client.execute_interactive('var answer = Console.ReadLine();', timeout=60, allow_stdin=True, stdin_hook=lambda message: client.input("typed"))
            said = []
            client.execute_interactive('Console.Write(answer);', timeout=60, output_hook=lambda message: said.append(message["content"].get("text", "")))
            assert "".join(said) == "typed", said
            manager.restart_kernel()
            client.wait_for_ready(timeout=60)
            second = manager.provisioner.process.pid
            assert client.execute_interactive("x", timeout=60, output_hook=lambda message: None)["content"]["status"] == "error"
            manager.shutdown_kernel()
            time.sleep(0.5)
            assert first != second
            assert not os.path.exists(f"/proc/{first}") and not os.path.exists(f"/proc/{second}")
            """);

        Assert.True(exitCode == 0, text);
    }

    [Fact]
    public void Nbconvert_executes_a_notebook()
    {
        using var python = Python.With("nbconvert", "nbclient");
        using var folder = new TemporaryFolder();
        folder.WriteNotebook("in.ipynb", s_cells);
        var (exitCode, text) = python.Run(folder.Path, "-m", "nbconvert", "--to", "notebook", "--execute", "--output", "converted.ipynb", "in.ipynb");

        Assert.True(exitCode == 0, text);
        Assert.Contains("10", File.ReadAllText(folder.At("converted.ipynb")), StringComparison.Ordinal);
    }

    [Fact]
    public void Executes_the_quickstart()
    {
        // nbconvert's executor is nbclient's: one run is a test of both.
        using var python = Python.With("nbconvert", "nbclient");
        using var folder = new TemporaryFolder();
        // A clone as the notebook sees it.
        foreach (var name in (string[])["checkpoints", "data", "src"]) Directory.CreateSymbolicLink(folder.At(name), TestFiles.At(name));
        var notebooks = Directory.CreateDirectory(folder.At("notebooks")).FullName;
        File.Copy(TestFiles.At("notebooks", "_setup.csx"), Path.Combine(notebooks, "_setup.csx"));
        var json = JsonNode.Parse(File.ReadAllText(TestFiles.At("notebooks", "01-quickstart.ipynb")))!;
        var parameters = json["cells"]!.AsArray().Single(cell => cell!["metadata"]!["tags"]?.AsArray().Any(tag => tag!.ToString() == "parameters") == true)!;
        var defaults = Text(parameters["source"]);
        var few = Steps().Replace(Prompts().Replace(defaults, "prompts = 2;"), "steps = 20;");
        Assert.Contains("steps = 20;", few, StringComparison.Ordinal);
        parameters["source"] = few;
        // What is found in the end was made by this run.
        foreach (var cell in json["cells"]!.AsArray().Where(cell => cell!["cell_type"]!.ToString() == "code")) cell!["outputs"] = new JsonArray();
        File.WriteAllText(Path.Combine(notebooks, "01-quickstart.ipynb"), json.ToJsonString());

        var (exitCode, text) = python.Run(notebooks, "-m", "nbconvert", "--to", "notebook", "--execute", "--output", "executed.ipynb", "01-quickstart.ipynb");

        Assert.True(exitCode == 0, text);
        var outputs = JsonNode.Parse(File.ReadAllText(Path.Combine(notebooks, "executed.ipynb")))!["cells"]!.AsArray().SelectMany(cell => cell!["outputs"]?.AsArray() ?? []).ToArray();
        Assert.DoesNotContain(outputs, output => output!["output_type"]!.ToString() == "error");
        Assert.Equal(8, outputs.Count(output => output!["data"]?["application/vnd.plotly.v1+json"]?["data"]?.AsArray().Count > 0));
    }

    [GeneratedRegex(@"\bsteps = \d+;")]
    private static partial Regex Steps();

    [GeneratedRegex(@"\bprompts = \d+;")]
    private static partial Regex Prompts();

    // Text joined, as the two write it in other pieces.
    private static string[] Outputs(string path) =>
    [
        .. JsonNode.Parse(File.ReadAllText(path))!["cells"]!.AsArray().SelectMany(cell => cell!["outputs"]!.AsArray())
            .Select(output => $"{output!["output_type"]} {output["name"]} {Text(output["text"])}{string.Join(' ', (output["data"] as JsonObject ?? []).OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => $"{pair.Key}={Text(pair.Value)}"))}"),
    ];

    private static string Text(JsonNode? node) => (node is JsonArray lines ? string.Concat(lines.Select(line => line!.ToString())) : node?.ToString() ?? "").ReplaceLineEndings("\n");
}
