using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Koala.Kernel.Tests.Interrupts;
using Koala.Kernel.Tests.Notebooks;

namespace Koala.Kernel.Tests.Jupyter;

/// <summary>
/// Jupyter's own clients. A test is skipped if they are not installed (Debian: python3-jupyter-kernel-test,
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
    public void Gives_the_same_outputs_through_nbclient_as_through_koala_run()
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
        Assert.Equal(0, CommandRun.Of("run", notebook, "--output", folder.At("koala.ipynb"), "--quiet").ExitCode);

        Assert.Equal(Outputs(folder.At("client.ipynb")), Outputs(folder.At("koala.ipynb")));
    }

    [Fact]
    public void The_written_notebook_is_valid()
    {
        using var python = Python.With("nbformat");
        using var folder = new TemporaryFolder();
        var notebook = folder.WriteNotebook("in.ipynb", [.. s_cells, "throw new Exception(\"no\");"]);
        Assert.Equal(1, CommandRun.Of("run", notebook, "--output", folder.At("koala.ipynb"), "--quiet").ExitCode);

        var (exitCode, text) = python.Run(folder.Path, "-c", """
            import nbformat
            nb = nbformat.read("koala.ipynb", as_version=4)
            nbformat.validate(nb)
            assert (nb.nbformat, nb.nbformat_minor) == (4, 5)
            """);
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
            type = lambda message: client.input("typed")
            client.execute_interactive("var answer = Console.ReadLine();", timeout=60, allow_stdin=True, stdin_hook=type)
            printed = []
            collect = lambda message: printed.append(message["content"].get("text", ""))
            client.execute_interactive("Console.Write(answer);", timeout=60, output_hook=collect)
            assert "".join(printed) == "typed", printed
            manager.restart_kernel()
            client.wait_for_ready(timeout=60)
            second = manager.provisioner.process.pid
            reply = client.execute_interactive("x", timeout=60, output_hook=lambda message: None)
            assert reply["content"]["status"] == "error"
            manager.shutdown_kernel()
            time.sleep(0.5)
            assert first != second
            assert not os.path.exists(f"/proc/{first}") and not os.path.exists(f"/proc/{second}")
            """);

        Assert.True(exitCode == 0, text);
    }

    /// <summary>Half an hour of training must not be lost because somebody presses Stop.</summary>
    [Fact]
    public void Training_that_Jupyter_interrupts_keeps_its_head_and_metrics_and_goes_on_from_them()
    {
        using var python = Python.With("jupyter_client");
        using var folder = new TemporaryFolder();
        var cells = new JsonArray(InterruptTests.Prepared(folder), InterruptTests.Training, InterruptTests.ThreeMoreSteps);
        var (exitCode, text) = python.Run(folder.Path, "-c", """
            import json, sys, jupyter_client
            prepared, training, more = json.loads(sys.argv[1])
            manager = jupyter_client.KernelManager(kernel_name="koala-csharp")
            manager.start_kernel()
            client = manager.client()
            client.start_channels()
            client.wait_for_ready(timeout=60)
            def run(code, see=lambda message: None):
                shown = []
                def hook(message):
                    shown.append(message["content"].get("text") or message["content"].get("data", {}).get("text/plain", ""))
                    see(shown[-1])
                return client.execute_interactive(code, timeout=60, output_hook=hook)["content"], "".join(shown)
            assert run(prepared)[0]["status"] == "ok"
            stop = lambda text: manager.interrupt_kernel() if "started" in text else None
            reply, shown = run(training, stop)
            assert reply["ename"] == "Interrupted", (reply, shown)
            done = int(run("metrics.Count")[1])
            assert done > 0 and run("metrics.All(step => step.Loss > 0)")[1] == "True"
            assert run("System.Threading.Thread.Sleep(500);\nmetrics.Count")[1] == f"{done}", "it trains on"
            reply, shown = run(more)
            assert reply["status"] == "ok" and int(shown) == done + 3, (reply, shown)
            client.stop_channels()
            manager.shutdown_kernel()
            """, cells.ToJsonString());

        Assert.True(exitCode == 0, text);
    }

    [Fact]
    public void A_native_crash_is_an_error_of_the_cell_with_the_last_lines()
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
            watcher = manager.provisioner.process.pid
            kernel = int(open(f"/proc/{watcher}/task/{watcher}/children").read().split()[0])
            id = client.execute('Environment.FailFast("it ends here");')
            while True:
                message = client.get_iopub_msg(timeout=60)
                if message["msg_type"] == "error": break
            assert message["parent_header"]["msg_id"] == id, message
            content = message["content"]
            assert content["ename"] == "KernelDied" and "134" in content["evalue"], content
            assert any("it ends here" in line for line in content["traceback"]), content
            for i in range(100):
                if not manager.is_alive(): break
                time.sleep(0.1)
            assert not manager.is_alive() and not os.path.exists(f"/proc/{kernel}")
            manager.restart_kernel(now=True)
            client.wait_for_ready(timeout=60)
            reply = client.execute_interactive("1 + 1", timeout=60, output_hook=lambda message: None)
            assert reply["content"]["status"] == "ok"
            # A kernel whose watcher was killed does not stay behind.
            watcher = manager.provisioner.process.pid
            kernel = int(open(f"/proc/{watcher}/task/{watcher}/children").read().split()[0])
            os.kill(watcher, 9)
            time.sleep(3)
            assert not os.path.exists(f"/proc/{kernel}") or "Z" in open(f"/proc/{kernel}/stat").read()
            """);

        Assert.True(exitCode == 0, text);
    }

    [Fact]
    public void Nbconvert_executes_a_notebook()
    {
        using var python = Python.With("nbconvert", "nbclient");
        using var folder = new TemporaryFolder();
        folder.WriteNotebook("in.ipynb", s_cells);
        var (exitCode, text) = Nbconvert(python, folder.Path, "in.ipynb", "converted.ipynb");

        Assert.True(exitCode == 0, text);
        Assert.Contains("10", File.ReadAllText(folder.At("converted.ipynb")), StringComparison.Ordinal);
    }

    [Fact]
    public void Executes_the_quickstart()
    {
        // nbconvert executes with nbclient, so one run tests both.
        using var python = Python.With("nbconvert", "nbclient");
        using var folder = new TemporaryFolder();
        // For the notebook, the folder looks like a clone of the repository.
        foreach (var name in (string[])["checkpoints", "data", "src"])
            Directory.CreateSymbolicLink(folder.At(name), TestFiles.At(name));
        var notebooks = Directory.CreateDirectory(folder.At("notebooks")).FullName;
        File.Copy(TestFiles.At("notebooks", "_setup.csx"), Path.Combine(notebooks, "_setup.csx"));
        var json = JsonNode.Parse(File.ReadAllText(TestFiles.At("notebooks", "01-quickstart.ipynb")))!;
        var cells = json["cells"]!.AsArray();
        var parameters = cells.Single(IsParameters)!;
        var shortRun = Steps().Replace(Prompts().Replace(Text(parameters["source"]), "prompts = 2;"), "steps = 20;");
        Assert.Contains("steps = 20;", shortRun, StringComparison.Ordinal);
        parameters["source"] = shortRun;
        // The outputs are removed, so that all outputs in the end are those of this run.
        foreach (var cell in cells.Where(cell => cell!["cell_type"]!.ToString() == "code")) cell!["outputs"] = new JsonArray();
        File.WriteAllText(Path.Combine(notebooks, "01-quickstart.ipynb"), json.ToJsonString());

        var (exitCode, text) = Nbconvert(python, notebooks, "01-quickstart.ipynb", "executed.ipynb");

        Assert.True(exitCode == 0, text);
        var executed = JsonNode.Parse(File.ReadAllText(Path.Combine(notebooks, "executed.ipynb")))!;
        var outputs = executed["cells"]!.AsArray().SelectMany(cell => cell!["outputs"]?.AsArray() ?? []).ToArray();
        Assert.DoesNotContain(outputs, output => output!["output_type"]!.ToString() == "error");
        Assert.Equal(8, outputs.Count(HasFigure));

        static bool IsParameters(JsonNode? cell) =>
            cell!["metadata"]!["tags"]?.AsArray().Any(tag => tag!.ToString() == "parameters") == true;

        static bool HasFigure(JsonNode? output) =>
            output!["data"]?["application/vnd.plotly.v1+json"]?["data"]?.AsArray().Count > 0;
    }

    private static (int ExitCode, string Text) Nbconvert(Python python, string folder, string input, string output) =>
        python.Run(folder, "-m", "nbconvert", "--to", "notebook", "--execute", "--output", output, input);

    [GeneratedRegex(@"\bsteps = \d+;")]
    private static partial Regex Steps();

    [GeneratedRegex(@"\bprompts = \d+;")]
    private static partial Regex Prompts();

    // Each output is one string, because the two programs split text into lines differently.
    private static string[] Outputs(string path)
    {
        var cells = JsonNode.Parse(File.ReadAllText(path))!["cells"]!.AsArray();
        return [.. cells.SelectMany(cell => cell!["outputs"]!.AsArray()).Select(output => Describe(output!))];
    }

    private static string Describe(JsonNode output)
    {
        var data = (output["data"] as JsonObject ?? []).OrderBy(pair => pair.Key, StringComparer.Ordinal);
        var bundle = string.Join(' ', data.Select(pair => $"{pair.Key}={Text(pair.Value)}"));
        return $"{output["output_type"]} {output["name"]} {Text(output["text"])}{bundle}";
    }

    private static string Text(JsonNode? node)
    {
        var text = node is JsonArray lines ? string.Concat(lines.Select(line => line!.ToString())) : node?.ToString() ?? "";
        return text.ReplaceLineEndings("\n");
    }
}
