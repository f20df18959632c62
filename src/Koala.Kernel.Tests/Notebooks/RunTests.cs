using System.Text.Json.Nodes;

namespace Koala.Kernel.Tests.Notebooks;

public sealed class RunTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void Runs_with_parameters_and_leaves_the_input_as_it_is()
    {
        var notebook = _folder.WriteNotebook("in.ipynb",
            "[parameters]var n = 5;\nvar s = \"ant\";\ndouble x = 1;", "Console.WriteLine($\"{s} {x}\");\nn * 2");
        var before = File.ReadAllText(notebook);
        var run = CommandRun.Of("run", notebook, "-p", "n=21", "-p", "s=bee \"b\"", "-p", "x=2.5",
            "--output", _folder.At("out.ipynb"), "--timeout", "60");

        Assert.Equal(0, run.ExitCode);
        Assert.Contains("code cell 1/3", run.Error, StringComparison.Ordinal);
        Assert.Equal(before, File.ReadAllText(notebook));
        var cells = Cells(_folder.At("out.ipynb"));
        Assert.Equal(3, cells.Count);
        Assert.Equal("injected-parameters", cells[1]!["metadata"]!["tags"]![0]!.ToString());
        Assert.Equal("bee \"b\" 2.5\n", string.Concat(cells[2]!["outputs"]![0]!["text"]!.AsArray()));
        Assert.Equal("42", string.Concat(cells[2]!["outputs"]![1]!["data"]!["text/plain"]!.AsArray()));
        Assert.Equal(3, (int)cells[2]!["execution_count"]!);
    }

    [Fact]
    public void A_notebook_with_parameters_and_the_command_line_give_the_same_numbers()
    {
        var (target, prompts) = (TestFiles.At("checkpoints", "koala-nano"), TestFiles.At("data", "mt-bench.jsonl"));
        var head = $"{target}-eagle-k2";
        var notebook = _folder.WriteNotebook("in.ipynb",
            "[parameters]var folder = \"\";\nvar headFolder = \"\";\nvar file = \"\";\nvar count = 1;\nvar tokens = 1;\nvar length = 1;",
            """
            using Koala.Lab.Data;
            using Koala.Lab.Decoding;
            using Koala.Lab.Evaluation;
            using Koala.Lab.Heads;
            using Koala.Lab.Targets;
            var target = Target.Load(folder);
            var head = DraftHead.Load(headFolder, target);
            var options = new EvaluationOptions { Generation = new GenerationOptions { MaxTokens = tokens, DraftLength = length } };
            var report = Evaluator.Run(target, head, "head", Prompts.Load(file).Take(count).ToList(), options);
            var numbers = new { report.Tokens, report.AcceptanceLength.Mean, report.PositionAcceptance };
            Console.Write(System.Text.Json.JsonSerializer.Serialize(numbers));
            """);
        var run = CommandRun.Of("run", notebook, "-p", $"folder={target}", "-p", $"headFolder={head}", "-p", $"file={prompts}",
            "-p", "count=3", "-p", "tokens=24", "-p", "length=3", "--output", _folder.At("out.ipynb"), "--quiet");
        Assert.True(run.ExitCode == 0, run.Error);
        var printed = JsonNode.Parse(string.Concat(Cells(_folder.At("out.ipynb"))[^1]!["outputs"]![0]!["text"]!.AsArray()))!;

        var command = CommandRun.Of("evaluate", "--target", target, "--head", head, "--prompts", prompts,
            "--limit", "3", "--max-tokens", "24", "--draft-length", "3", "--json", "--quiet");
        // Where the machine is busy the report lacks speeds, and the exit code says so.
        Assert.True(command.ExitCode is 0 or 1, command.Error);
        var report = JsonNode.Parse(command.Output)!;
        Assert.Equal((int)report["tokens"]!, (int)printed["Tokens"]!);
        Assert.Equal((double)report["acceptanceLength"]!["mean"]!, (double)printed["Mean"]!);
        Assert.Equal(report["positionAcceptance"]!.ToJsonString(), printed["PositionAcceptance"]!.ToJsonString());
        Assert.InRange((double)printed["Mean"]!, 1.01, 4);
    }

    [Fact]
    public void A_second_run_in_place_gives_the_same_file()
    {
        var notebook = _folder.WriteNotebook("in.ipynb", "[parameters]var n = 5;", "n");
        Assert.Equal(0, CommandRun.Of("run", notebook, "--in-place", "-p", "n=6", "--quiet").ExitCode);
        var once = File.ReadAllText(notebook);
        Assert.Equal(0, CommandRun.Of("run", notebook, "--in-place", "-p", "n=6", "--quiet").ExitCode);

        Assert.Equal(once, File.ReadAllText(notebook));
    }

    [Fact]
    public void A_dib_runs_as_a_notebook_does()
    {
        var dib = _folder.Write("in.dib", """
            #!meta

            {"kernelInfo":{"defaultKernelName":"csharp","items":[]}}

            #!markdown

            # A title

            #!csharp

            var n = 20;

            #!csharp

            #!time
            n + 1

            #!html

            <b>bold</b>

            """);
        var run = CommandRun.Of("run", dib, "--output", _folder.At("out.ipynb"), "--html", _folder.At("page.html"), "--quiet");
        Assert.True(run.ExitCode == 0, run.Error);
        var cells = Cells(_folder.At("out.ipynb"));
        Assert.Equal(["markdown", "code", "code", "code"], cells.Select(cell => cell!["cell_type"]!.ToString()));
        Assert.Equal("21", string.Concat(cells[2]!["outputs"]!.AsArray()[^1]!["data"]!["text/plain"]!.AsArray()));
        Assert.Equal("<b>bold</b>", string.Concat(cells[3]!["outputs"]![0]!["data"]!["text/html"]!.AsArray()));
        Assert.Contains("<title>A title</title>", File.ReadAllText(_folder.At("page.html")), StringComparison.Ordinal);
        // The notebook that it wrote runs, too.
        Assert.Equal(0, CommandRun.Of("run", _folder.At("out.ipynb"), "--quiet").ExitCode);

        var inPlace = CommandRun.Of("run", dib, "--in-place");
        Assert.Equal(2, inPlace.ExitCode);
        Assert.Contains("--output", inPlace.Error, StringComparison.Ordinal);
        var other = CommandRun.Of("run", _folder.Write("other.dib", "#!csharp\n1\n#!fsharp\nlet x = 1\n"));
        Assert.Equal(2, other.ExitCode);
        Assert.Contains("code cell 2: is in 'fsharp'", other.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void The_page_has_text_code_and_outputs_and_needs_nothing_else()
    {
        var notebook = _folder.WriteNotebook("in.ipynb", "// a < b\nConsole.WriteLine(\"1 < 2\");\nHTML(\"<b>bold</b>\")");
        var run = CommandRun.Of("run", notebook, "--html", _folder.At("page.html"), "--quiet");

        Assert.Equal(0, run.ExitCode);
        Assert.Equal("", run.Error);
        var page = File.ReadAllText(_folder.At("page.html"));
        Assert.Contains("1 &lt; 2\n</pre>", page, StringComparison.Ordinal);
        Assert.Contains("<b>bold</b>", page, StringComparison.Ordinal);
        Assert.Contains("<span class=\"c\">// a &lt; b</span>", page, StringComparison.Ordinal);
        Assert.DoesNotContain("src=\"http", page, StringComparison.Ordinal);
        Assert.DoesNotContain("href=\"http", page, StringComparison.Ordinal);
    }

    [Fact]
    public void An_update_replaces_the_output_and_late_text_stays_with_its_cell()
    {
        var notebook = _folder.WriteNotebook("in.ipynb",
            """
            var d = display(1);
            var next = new TaskCompletionSource();
            var late = Task.Run(async () => { await next.Task; Console.WriteLine("late"); });
            """,
            "next.SetResult();\nawait late;\nd.Update(\"new\");\nawait Task.Delay(1000);");
        Assert.Equal(0, CommandRun.Of("run", notebook, "--output", _folder.At("out.ipynb"), "--quiet").ExitCode);

        var outputs = Cells(_folder.At("out.ipynb"))[0]!["outputs"]!.AsArray();
        Assert.Equal("new", string.Concat(outputs[0]!["data"]!["text/plain"]!.AsArray()));
        Assert.Equal("late\n", string.Concat(outputs[1]!["text"]!.AsArray()));
        Assert.Empty(Cells(_folder.At("out.ipynb"))[1]!["outputs"]!.AsArray());
    }

    [Fact]
    public void A_cell_that_throws_stops_the_run_and_what_ran_is_saved()
    {
        var notebook = _folder.WriteNotebook("in.ipynb", "1", "throw new InvalidOperationException(\"no more\");", "3");
        var run = CommandRun.Of("run", notebook, "--output", _folder.At("out.ipynb"), "--quiet");

        Assert.Equal(1, run.ExitCode);
        Assert.Contains("System.InvalidOperationException: no more", run.Error, StringComparison.Ordinal);
        Assert.Contains("cell [2], line 1: throw new InvalidOperationException", run.Error, StringComparison.Ordinal);
        Assert.EndsWith(": code cell 2 of 3 failed\n", run.Error, StringComparison.Ordinal);
        var cells = Cells(_folder.At("out.ipynb"));
        Assert.Equal("1", string.Concat(cells[0]!["outputs"]![0]!["data"]!["text/plain"]!.AsArray()));
        Assert.Equal("InvalidOperationException", cells[1]!["outputs"]![0]!["ename"]!.ToString());
        Assert.Empty(cells[2]!["outputs"]!.AsArray());
    }

    [Theory]
    [InlineData("while (true) { }")]
    [InlineData("new System.Text.RegularExpressions.Regex(\"^(a+)+$\").IsMatch(new string('a', 60) + \"!\")")]
    public void A_cell_that_never_ends_is_ended(string code)
    {
        // The first cell waits for the compiler, so that the second prints "before" at once even on a slow machine.
        var notebook = _folder.WriteNotebook("in.ipynb", "1", "Console.WriteLine(\"before\");\n" + code, "2");
        var run = CommandRun.Of("run", notebook, "--output", _folder.At("out.ipynb"), "--timeout", "6", "--quiet");

        Assert.Equal(1, run.ExitCode);
        Assert.Contains("Timeout: the cell took longer than 6 s", run.Error, StringComparison.Ordinal);
        var outputs = Cells(_folder.At("out.ipynb"))[1]!["outputs"]!.AsArray();
        Assert.Equal("before\n", string.Concat(outputs[0]!["text"]!.AsArray()));
        Assert.Contains(outputs, output => output!["ename"]?.ToString() == "Timeout");
    }

    [Fact]
    public void A_cell_that_ends_the_process_is_an_error_with_the_exit_code()
    {
        var notebook = _folder.WriteNotebook("in.ipynb", "Console.WriteLine(\"before\");", "Environment.Exit(3);", "3");
        var run = CommandRun.Of("run", notebook, "--output", _folder.At("out.ipynb"), "--quiet");

        Assert.Equal(1, run.ExitCode);
        Assert.Contains("KernelDied: the kernel's process ended with exit code 3", run.Error, StringComparison.Ordinal);
        Assert.Equal("KernelDied", Cells(_folder.At("out.ipynb"))[1]!["outputs"]![0]!["ename"]!.ToString());
    }

    [Fact]
    public void A_native_crash_is_an_error_with_the_last_printed_lines()
    {
        var notebook = _folder.WriteNotebook("in.ipynb", $"""
            #r "{TestFiles.Library}"
            using static TorchSharp.torch;
            ones(2, 3).matmul(ones(2, 3))
            """);
        var run = CommandRun.Of("run", notebook, "--output", _folder.At("out.ipynb"), "--quiet");

        Assert.Equal(1, run.ExitCode);
        Assert.Contains("aborted by native code (exit code 134)", run.Error, StringComparison.Ordinal);
        var lines = Cells(_folder.At("out.ipynb"))[0]!["outputs"]![0]!["traceback"]!.AsArray().Select(line => line!.ToString());
        Assert.Contains("mat1 and mat2 shapes cannot be multiplied", string.Join('\n', lines), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("k=1", "has no variable k; it has n, s")]
    [InlineData("n=many", "n is of type int")]
    [InlineData("n", "is not of the form NAME=VALUE")]
    public void A_wrong_parameter_is_an_error_before_anything_runs(string parameter, string fault)
    {
        var notebook = _folder.WriteNotebook("in.ipynb", "[parameters]var n = 5; var s = \"ant\";");
        var run = CommandRun.Of("run", notebook, "-p", parameter, "--output", _folder.At("out.ipynb"));

        Assert.Equal(2, run.ExitCode);
        Assert.Contains(fault, run.Error, StringComparison.Ordinal);
        Assert.False(File.Exists(_folder.At("out.ipynb")));
    }

    [Fact]
    public void A_parameter_without_a_cell_for_it_is_an_error()
    {
        var run = CommandRun.Of("run", _folder.WriteNotebook("in.ipynb", "[other]1"), "-p", "n=1");

        Assert.Equal(2, run.ExitCode);
        Assert.Contains("has no cell tagged 'parameters' (its tags are other)", run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "is not valid JSON")]
    [InlineData("{\"nbformat\": 4", "is not valid JSON")]
    [InlineData("not json", "is not valid JSON")]
    [InlineData("[]", "is not a JSON object")]
    [InlineData("{}", "has no nbformat")]
    [InlineData("{\"nbformat\":\"4\"}", "has no nbformat")]
    [InlineData("{\"nbformat\":3,\"nbformat_minor\":0,\"worksheets\":[]}", "has nbformat 3, but Koala reads 4")]
    [InlineData("{\"nbformat\":5,\"nbformat_minor\":0}", "has nbformat 5, but Koala reads 4")]
    [InlineData("{\"nbformat\":4,\"cells\":[]}", "has no nbformat_minor")]
    [InlineData("{\"nbformat\":4,\"nbformat_minor\":5}", "has no list of cells")]
    [InlineData("{\"nbformat\":4,\"nbformat_minor\":5,\"cells\":{}}", "has no list of cells")]
    [InlineData("{\"nbformat\":4,\"nbformat_minor\":5,\"cells\":[1]}",
        "bad.ipynb, cell 1, before the first code cell: is not a JSON object")]
    [InlineData("{\"nbformat\":4,\"nbformat_minor\":5,\"cells\":[{\"cell_type\":\"code\"}]}", "bad.ipynb, code cell 1: has no source")]
    [InlineData("{\"nbformat\":4,\"nbformat_minor\":5,\"cells\":[{\"cell_type\":\"slide\",\"source\":\"\"}]}",
        "has the cell_type 'slide'")]
    [InlineData("{\"nbformat\":4,\"nbformat_minor\":5,\"cells\":[{\"cell_type\":\"code\",\"source\":\"\",\"outputs\":3}]}",
        "has outputs that are not a list")]
    [InlineData("{\"nbformat\":4,\"nbformat_minor\":5,\"metadata\":[],\"cells\":[]}", "has metadata that is not a JSON object")]
    [InlineData("{\"nbformat\":4,\"nbformat_minor\":5,\"metadata\":{\"kernelspec\":{\"name\":\"python3\"}},\"cells\":[]}",
        "asks for the kernel 'python3'")]
    public void A_file_that_is_not_a_notebook_is_a_one_line_error(string text, string fault)
    {
        var run = CommandRun.Of("run", _folder.Write("bad.ipynb", text));

        Assert.Equal(2, run.ExitCode);
        Assert.Contains(fault, run.Error, StringComparison.Ordinal);
        Assert.Single(run.Error.TrimEnd('\n').Split('\n'));
    }

    [Fact]
    public void A_cell_that_is_too_large_for_a_request_is_named()
    {
        var notebook = _folder.WriteNotebook("in.ipynb", "1", $"// {new string('x', 17 << 20)}\n2");
        var run = CommandRun.Of("run", notebook, "--quiet");

        Assert.Equal(2, run.ExitCode);
        Assert.StartsWith($"{notebook}, code cell 2: makes a request of 17", run.Error, StringComparison.Ordinal);
        Assert.Single(run.Error.TrimEnd('\n').Split('\n'));
    }

    [Fact]
    public void A_truncated_notebook_is_a_one_line_error()
    {
        var text = File.ReadAllText(_folder.WriteNotebook("complete.ipynb", "1", "2"));
        for (var length = 0; length < text.TrimEnd().Length; length++)
        {
            var run = CommandRun.Of("run", _folder.Write("truncated.ipynb", text[..length]));
            Assert.Equal(2, run.ExitCode);
            Assert.Single(run.Error.TrimEnd('\n').Split('\n'));
        }
    }

    [Fact]
    public void Missing_ids_are_added()
    {
        var notebook = _folder.Write("old.ipynb", """
            {"nbformat":4,"nbformat_minor":2,"metadata":{"mine":1},"cells":[
              {"cell_type":"markdown","metadata":{},"source":["# T\n","x"]},
              {"cell_type":"code","metadata":{},"source":"1","outputs":[],"execution_count":null}]}
            """);
        Assert.Equal(0, CommandRun.Of("run", notebook, "--output", _folder.At("out.ipynb"), "--quiet").ExitCode);

        var json = JsonNode.Parse(File.ReadAllText(_folder.At("out.ipynb")))!;
        Assert.Equal(5, (int)json["nbformat_minor"]!);
        Assert.Equal(["cell-1", "cell-2"], json["cells"]!.AsArray().Select(cell => cell!["id"]!.ToString()));
        Assert.Equal(1, (int)json["metadata"]!["mine"]!);
    }

    public void Dispose() => _folder.Dispose();

    private static JsonArray Cells(string path) => JsonNode.Parse(File.ReadAllText(path))!["cells"]!.AsArray();
}
