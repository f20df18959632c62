using System.Text.Json.Nodes;

namespace Koala.Kernel.Tests.Notebooks;

/// <summary>What the metadata of cells and notebooks says about whether and how cells run.</summary>
public sealed class CellMetadataTests(TestKernel kernel) : IClassFixture<TestKernel>, IDisposable
{
    private const string CSharpKernel = """{"kernelspec":{"name":".net-csharp","language":"C#"}}""";

    private readonly TemporaryFolder _folder = new();

    [Theory]
    [InlineData("""{"polyglot_notebook":{"kernelName":"html"}}""", "<b>b</b>", "text/html")]
    [InlineData("""{"dotnet_interactive":{"language":"html"}}""", "<b>b</b>", "text/html")]
    [InlineData("""{"vscode":{"languageId":"html"}}""", "<b>b</b>", "text/html")]
    [InlineData("""{"polyglot_notebook":{"kernelName":"markdown"},"vscode":{"languageId":"polyglot-notebook"}}""", "# h", "text/markdown")]
    [InlineData("""{"vscode":{"languageId":"dotnet-interactive.markdown"}}""", "# h", "text/markdown")]
    [InlineData("""{"polyglot_notebook":{"kernelName":"csharp"},"vscode":{"languageId":"fsharp"}}""", "7 / 2", "text/plain")]
    [InlineData("""{"dotnet_interactive":{"language":"C#"}}""", "7 / 2", "text/plain")]
    [InlineData("""{"polyglot_notebook":{"kernelName":""}}""", "7 / 2", "text/plain")]
    [InlineData("""{"polyglot_notebook":{"kernelName":"html"}}""", "#!csharp\n7 / 2", "text/plain")]
    public void A_cell_runs_in_the_language_of_its_metadata(string metadata, string source, string mime)
    {
        var run = CommandRun.Of("run", Write(CSharpKernel, (metadata, source)), "--output", _folder.At("out.ipynb"), "--quiet");

        Assert.Equal(0, run.ExitCode);
        var data = Cells()[0]!["outputs"]![0]!["data"]!.AsObject();
        Assert.Equal(mime, data.Single().Key);
        Assert.Equal(mime == "text/plain" ? "3" : source, string.Concat(data[mime]!.AsArray()));
    }

    [Fact]
    public void A_cell_in_JavaScript_becomes_a_script()
    {
        var notebook = Write(CSharpKernel, ("""{"polyglot_notebook":{"kernelName":"javascript"}}""", "let a = 1"));
        Assert.Equal(0, CommandRun.Of("run", notebook, "--output", _folder.At("out.ipynb"), "--quiet").ExitCode);

        var html = Cells()[0]!["outputs"]![0]!["data"]!["text/html"]![0]!.ToString();
        Assert.Equal("<script type=\"text/javascript\">let a = 1</script>", html);
    }

    [Theory]
    [InlineData("fsharp")]
    [InlineData("pwsh")]
    [InlineData("pythonkernel")]
    [InlineData("mermaid")]
    [InlineData("sql-northwind")]
    [InlineData("kql")]
    [InlineData("value")]
    [InlineData("http")]
    [InlineData("csharp2")]
    [InlineData("time")]
    [InlineData("html\n#!csharp")]
    public void A_cell_of_another_language_is_refused_by_name_before_anything_runs(string language)
    {
        var metadata = new JsonObject { ["polyglot_notebook"] = new JsonObject { ["kernelName"] = language } };
        var notebook = Write(CSharpKernel, ("{}", "1"), (metadata.ToJsonString(), "7 / 2"));
        var run = CommandRun.Of("run", notebook, "--output", _folder.At("out.ipynb"));

        Assert.Equal(2, run.ExitCode);
        Assert.Contains($"code cell 2: is in '{language.Replace('\n', ' ')}', but Koala runs csharp", run.Error, StringComparison.Ordinal);
        Assert.Single(run.Error.TrimEnd('\n').Split('\n'));
        Assert.False(File.Exists(_folder.At("out.ipynb")));
    }

    [Theory]
    [InlineData("""{"polyglot_notebook":{"kernelInfo":{"defaultKernelName":"fsharp"}},"kernelspec":{"name":".net-csharp"}}""", "'fsharp'")]
    [InlineData("""{"kernelspec":{"language":"python"}}""", "'python'")]
    [InlineData("""{"language_info":{"name":"julia"}}""", "'julia'")]
    [InlineData("""{"kernelspec":{"name":".net-fsharp"}}""", "asks for the kernel '.net-fsharp'")]
    public void Without_metadata_of_its_own_a_cell_is_in_the_language_of_the_notebook(string metadata, string fault)
    {
        var run = CommandRun.Of("run", Write(metadata, ("{}", "7 / 2")));

        Assert.Equal(2, run.ExitCode);
        Assert.Contains(fault, run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_cell_in_HTML_is_no_cell_for_parameters()
    {
        var notebook = Write(CSharpKernel, ("""{"tags":["parameters"],"polyglot_notebook":{"kernelName":"html"}}""", "n = 1"));
        var run = CommandRun.Of("run", notebook, "-p", "n=2");

        Assert.Equal(2, run.ExitCode);
        Assert.Contains("the cell tagged 'parameters' is in 'html'", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void An_error_of_a_cell_tagged_raises_exception_is_an_output_and_the_run_goes_on()
    {
        var notebook = Write(CSharpKernel,
            ("""{"tags":["raises-exception"]}""", "throw new InvalidOperationException(\"on purpose\");"),
            ("""{"tags":["raises-exception"]}""", "1"), ("{}", "2"));
        var run = CommandRun.Of("run", notebook, "--output", _folder.At("out.ipynb"), "--json", "--quiet");

        Assert.Equal(0, run.ExitCode);
        Assert.Equal(3, (int)JsonNode.Parse(run.Output)!["ran"]!);
        Assert.Equal("InvalidOperationException", Cells()[0]!["outputs"]![0]!["ename"]!.ToString());
        Assert.Equal("2", Cells()[2]!["outputs"]![0]!["data"]!["text/plain"]![0]!.ToString());
    }

    [Theory]
    [InlineData("while (true) { }", "3", "Timeout")]
    [InlineData("Environment.Exit(3);", "100", "KernelDied")]
    public void The_tag_allows_neither_a_timeout_nor_the_end_of_the_kernel(string code, string seconds, string error)
    {
        var notebook = Write(CSharpKernel, ("""{"tags":["raises-exception"]}""", code), ("{}", "2"));
        var run = CommandRun.Of("run", notebook, "--timeout", seconds, "--quiet");

        Assert.Equal(1, run.ExitCode);
        Assert.Contains(error, run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_cell_tagged_skip_execution_does_not_run_and_keeps_its_outputs_in_any_language()
    {
        var notebook = Write(CSharpKernel,
            ("""{"tags":["skip-execution"]}""", "throw new Exception();"),
            ("""{"tags":["skip-execution"],"polyglot_notebook":{"kernelName":"fsharp"}}""", "let x = 1"), ("{}", "2"));
        var json = JsonNode.Parse(File.ReadAllText(notebook))!;
        json["cells"]![0]!["outputs"] = new JsonArray(new JsonObject { ["output_type"] = "stream", ["name"] = "stdout", ["text"] = "old" });
        json["cells"]![0]!["execution_count"] = 7;
        File.WriteAllText(notebook, json.ToJsonString());
        var run = CommandRun.Of("run", notebook, "--output", _folder.At("out.ipynb"), "--json", "--quiet");

        Assert.Equal(0, run.ExitCode);
        Assert.Equal(1, (int)JsonNode.Parse(run.Output)!["ran"]!);
        Assert.Equal("old", Cells()[0]!["outputs"]![0]!["text"]!.ToString());
        Assert.Equal([7, null, 1], Cells().Select(cell => (int?)cell!["execution_count"]));
    }

    [Fact]
    public async Task The_kernel_obeys_the_metadata_that_a_front_end_sends()
    {
        Assert.Equal("text/html", (await Execute("html", "7 / 2")).Content["data"]!.AsObject().Single().Key);
        foreach (var language in (string[])["fsharp", "time", "html\n#!csharp"])
        {
            var (type, content) = await Execute(language, "7 / 2");
            Assert.Equal("error", type);
            Assert.Contains("but Koala runs csharp", content["evalue"]!.ToString(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task An_imported_notebook_obeys_its_metadata()
    {
        var notebook = Write(CSharpKernel,
            ("""{"tags":["raises-exception"]}""", "throw new Exception(\"on purpose\");"),
            ("""{"tags":["skip-execution"]}""", "throw new Exception(\"skipped\");"),
            ("""{"polyglot_notebook":{"kernelName":"html"}}""", "<i>i</i>"), ("{}", "var imported = 4;"));
        var run = await kernel.RunAsync($"#!import {notebook}\nimported");
        Assert.Equal("4", run.Value);
        Assert.Equal("<i>i</i>", run.Shown("text/html"));

        var other = await kernel.RunAsync($"#!import {Write(CSharpKernel, ("""{"vscode":{"languageId":"fsharp"}}""", "7 / 2"))}");
        Assert.Contains("is in 'fsharp'", other.Traceback, StringComparison.Ordinal);
    }

    public void Dispose() => _folder.Dispose();

    // The first output of a cell that a front end sends with metadata.
    private async Task<(string Type, JsonObject Content)> Execute(string language, string code)
    {
        var client = kernel.Process.Client;
        // The next request may come before the reply to this one, and must not be dropped for the error of this one.
        var content = new JsonObject { ["code"] = code, ["stop_on_error"] = false };
        var id = client.Send("execute_request", content, CellLanguage.ToMetadata(language));
        using var timeout = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        while (true)
        {
            var message = await client.Incoming.ReadAsync(timeout.Token);
            var isOutput = message.Type is "display_data" or "execute_result" or "error";
            if (isOutput && message.Parent["msg_id"]?.ToString() == id) return (message.Type, message.Content);
        }
    }

    private string Write(string metadata, params (string Metadata, string Source)[] cells)
    {
        var notebook = JsonNode.Parse(File.ReadAllText(_folder.WriteNotebook("in.ipynb", [.. cells.Select(cell => cell.Source)])))!;
        notebook["metadata"] = JsonNode.Parse(metadata);
        foreach (var (i, cell) in cells.Index()) notebook["cells"]![i]!["metadata"] = JsonNode.Parse(cell.Metadata);
        return _folder.Write("in.ipynb", notebook.ToJsonString());
    }

    private JsonArray Cells() => JsonNode.Parse(File.ReadAllText(_folder.At("out.ipynb")))!["cells"]!.AsArray();
}
