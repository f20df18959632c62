namespace Koala.Kernel.Tests.Cells;

/// <summary>The code and the directives that a cell can have, and their output.</summary>
public sealed class LanguageTests(TestKernel kernel) : IClassFixture<TestKernel>
{
    [Theory]
    [InlineData("6 * 7", "42")]
    [InlineData("await Task.FromResult(3)", "3")]
    [InlineData("static int Square(this int i) => i * i;\n5.Square()", "25")]
    [InlineData("static class Doubling { public static int Twice(this int i) => 2 * i; }\n4.Twice()", "8")]
    [InlineData("static class Halving { extension(int i) { public int Half => i / 2; } }\n8.Half", "4")]
    [InlineData("record Point(int X, int Y);\nnew Point(1, 2).ToString()", "Point { X = 1, Y = 2 }")]
    [InlineData("dynamic d = 4;\nd + 1", "5")]
    [InlineData("var x = 1;\nx", "1")]
    [InlineData("var x = \"again\";\nx", "again")]
    [InlineData(
        "await foreach (var i in Three()) Console.Write(i);\n" +
        "async IAsyncEnumerable<int> Three() { for (var i = 0; i < 3; i++) { await Task.Yield(); yield return i; } }\n" +
        "7", "7")]
    [InlineData("unsafe { int i = 3; int* p = &i; }\n#nullable enable\nstring? nothing = null;\nnothing is null", "True")]
    [InlineData("Task<int> F() => Task.Run(async () => { await Task.Delay(1); return 5; });\nF().Result", "5")]
    public async Task Ends_in_its_value(string code, string value)
    {
        var run = await kernel.RunAsync(code);

        Assert.True(run.Status == "ok", run.Traceback);
        Assert.Equal(value, run.Value);
    }

    [Theory]
    [InlineData("var quiet = 1;")]
    [InlineData("Console.Write(\"\");")]
    public async Task A_statement_has_no_value(string code) => Assert.Null((await kernel.RunAsync(code)).Value);

    [Fact]
    public async Task An_exception_names_cell_line_and_text()
    {
        await kernel.RunAsync("int Div(int a, int b)\n{\n    return a / b;\n}");
        var run = await kernel.RunAsync("var zero = 0;\n\nvar y = Div(1, zero);");

        Assert.Equal("DivideByZeroException", run.Reply!["ename"]!.ToString());
        var number = (int)run.Reply["execution_count"]!;
        Assert.Contains($"cell [{number - 1}], line 3: return a / b;", run.Traceback, StringComparison.Ordinal);
        Assert.Contains($"cell [{number}], line 3: var y = Div(1, zero);", run.Traceback, StringComparison.Ordinal);
        Assert.Equal("0", (await kernel.RunAsync("zero")).Value);
    }

    [Fact]
    public async Task A_mistake_in_a_loop_is_shown_as_written()
    {
        var run = await kernel.RunAsync("var a = 1;\nfor (var i = 0; i < 3; i++) { int s = \"text\"; }");

        Assert.Contains(", line 2, column 39: error CS0029", run.Traceback, StringComparison.Ordinal);
        Assert.Contains("for (var i = 0; i < 3; i++) { int s = \"text\"; }", run.Traceback, StringComparison.Ordinal);
        Assert.DoesNotContain("StopFlag", run.Traceback, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Output_comes_while_the_cell_runs()
    {
        using var folder = new TemporaryFolder();
        var received = folder.At("received");
        var first = "";
        var code =
            "Console.WriteLine(\"early\");\n" +
            $"while (!System.IO.File.Exists(\"{received}\")) System.Threading.Thread.Sleep(10);\n" +
            "Console.WriteLine(\"late\");";
        await kernel.RunAsync(code, text =>
        {
            if (first.Length > 0) return;
            first = text;
            File.WriteAllText(received, "");
        });
        Assert.Equal("early\n", first);
    }

    [Fact]
    public async Task Streams_and_displays_keep_their_order()
    {
        var run = await kernel.RunAsync("Console.Write(\"a\");\nConsole.Error.Write(\"b\");\ndisplay(1);\nConsole.Write(\"c\");\n2");

        Assert.Equal(["execute_input", "stream", "stream", "display_data", "stream", "execute_result"], run.Outputs.Select(o => o.Type));
    }

    [Fact]
    public async Task An_update_replaces_what_was_displayed()
    {
        var run = await kernel.RunAsync("var shown = 1.Display();\nshown.Update(2);");
        var later = await kernel.RunAsync("shown.Update(3);");

        var id = run.Outputs.Single(o => o.Type == "display_data").Content["transient"]!["display_id"]!.ToString();
        var first = run.Outputs.Single(o => o.Type == "update_display_data").Content;
        Assert.Equal(id, first["transient"]!["display_id"]!.ToString());
        var update = later.Outputs.Single(o => o.Type == "update_display_data").Content;
        Assert.Equal(id, update["transient"]!["display_id"]!.ToString());
        Assert.Equal("3", update["data"]!["text/plain"]!.ToString());
    }

    [Theory]
    [InlineData("HTML(\"<b>x</b>\")", "text/html", "<b>x</b>")]
    [InlineData("\"# T\".DisplayAs(\"text/markdown\");", "text/markdown", "# T")]
    [InlineData("#!markdown\n# Title\ntext", "text/markdown", "# Title\ntext")]
    [InlineData("#!html\n<i>y</i>", "text/html", "<i>y</i>")]
    [InlineData("#!javascript\nalert(1)", "text/html", "<script type=\"text/javascript\">alert(1)</script>")]
    [InlineData("using static Microsoft.DotNet.Interactive.Formatting.PocketViewTags;\nb(\"bold\")", "text/html", "<b>bold</b>")]
    [InlineData(
        "using Microsoft.DotNet.Interactive.Formatting;\n" +
        "class Sort { }\n" +
        "Formatter.Register<Sort>(s => \"mine\", \"text/plain\");\n" +
        "Formatter.SetPreferredMimeTypesFor(typeof(Sort), \"text/plain\");\n" +
        "new Sort()", "text/plain", "mine")]
    [InlineData("(object)null", "text/plain", "<null>")]
    [InlineData("new System.IO.FileInfo(\"/tmp\")", "text/plain", "/tmp")]
    [InlineData("new float[,] { { 1, 2 }, { 3, 4 } }", "text/plain", "2 × 2\n       1         2\n       3         4")]
    public async Task Shows(string code, string mime, string content) =>
        Assert.Equal(content, (await kernel.RunAsync(code)).Shown(mime));

    [Fact]
    public async Task A_table_has_a_row_for_each_element()
    {
        var run = await kernel.RunAsync("new[] { new { A = 1, B = \"x\" }, new { A = 2, B = \"y\" } }.DisplayTable();");
        var html = run.Shown("text/html")!;

        Assert.Equal("A  B\n1  x\n2  y", run.Shown("text/plain"));
        Assert.Equal(3, html.Split("<tr>").Length - 1);
        Assert.DoesNotContain("<style>", html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Directives_show_the_time_and_the_variables()
    {
        var time = await kernel.RunAsync("#!time\nvar dozen = 12;");
        Assert.Contains("Wall time: ", time.Text, StringComparison.Ordinal);
        Assert.Contains("dozen", (await kernel.RunAsync("#!who")).Text, StringComparison.Ordinal);
        var variables = (await kernel.RunAsync("#!whos")).Shown("text/html");
        Assert.Contains("<td>dozen</td><td>System.Int32</td><td>12</td>", variables, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Line_numbers_stay_correct_after_a_directive()
    {
        var run = await kernel.RunAsync("#!markdown\n# Title\n#!csharp\nvar fine = 1;\nthrow new Exception(\"here\");");

        Assert.Contains("line 5: throw new Exception(\"here\");", run.Traceback, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_unknown_directive_is_a_one_line_error_that_lists_all_directives()
    {
        var run = await kernel.RunAsync("#!serenade\nls");

        Assert.StartsWith("#!serenade: is not a directive of this kernel. Fix: use one of #!csharp, #!markdown", run.Traceback,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_loaded_file_brings_its_names_and_global_usings()
    {
        using var folder = new TemporaryFolder();
        folder.Write("setup.csx", "global using System.Globalization;\nint Answer() => 42;");
        var run = await kernel.RunAsync($"#load \"{folder.At("setup.csx")}\"\nCultureInfo.InvariantCulture.Name + Answer()");

        Assert.Equal("42", run.Value);
        Assert.Equal("42", (await kernel.RunAsync("CultureInfo.InvariantCulture.Name + Answer()")).Value);
    }

    [Theory, InlineData("display(7)"), InlineData("7.Display()"), InlineData("var shown = display(7);\nshown")]
    public async Task What_is_displayed_without_a_semicolon_is_shown_once(string code)
    {
        var run = await kernel.RunAsync(code);
        Assert.Equal(["display_data"], run.Outputs.Select(output => output.Type).Where(type => type != "execute_input"));
    }

    [Theory]
    [InlineData("#!fsharp\nlet x = 1", "fsharp")]
    [InlineData("#!pwsh\nGet-ChildItem", "pwsh")]
    [InlineData("1\n#!f#\nlet x = 1", "f#")]
    public async Task A_part_in_another_language_is_one_clear_line(string code, string language)
    {
        var run = await kernel.RunAsync(code);
        Assert.Equal("error", run.Status);
        Assert.Equal($"the cell: is in '{language}', but Koala runs csharp, html, markdown, javascript. "
            + "Fix: change the language of the cell, or choose the kernel of that language.", run.Traceback);
    }

    [Fact]
    public async Task A_value_is_a_variable_of_csharp_and_can_be_shared_under_another_name()
    {
        using var folder = new TemporaryFolder();
        var run = await kernel.RunAsync("#!value --name rows\n{\"a\": 1}\n{\"a\": 2}\n#!csharp\nrows.Split('\\n').Length");
        Assert.Equal("2", run.Value);
        var file = folder.Write("two words.txt", "é\n");
        Assert.Equal("2", (await kernel.RunAsync($"#!value --name read --from-file \"{file}\"\n#!csharp\nread.Length")).Value);
        Assert.Equal("True", (await kernel.RunAsync("#!share rows --from value --as same\nsame == rows")).Value);
        Assert.Equal("ok", (await kernel.RunAsync("#!share --name same --from csharp")).Status);
    }

    [Theory]
    [InlineData("#!value\ntext", "#!value: has no name. Fix: write it as #!value --name text, with the text in the lines below.")]
    [InlineData("#!value --name 1st\ntext",
        "--name: is '1st', but a variable of C# has another form of name. Fix: write it as --name report.")]
    [InlineData("#!value --name a --from-url x", "#!value: '--from-url' is not an option in Koala's kernel. Fix: use --name, --from-file.")]
    [InlineData("#!value --name a --from-file nowhere.txt", "nowhere.txt: does not exist. Fix: check the path.")]
    [InlineData("#!value --name a --from-file f\ntext",
        "#!value: has a file and lines below it, but a gets one text. Fix: leave --from-file or the lines out.")]
    [InlineData("#!value a b", "#!value: has two values of --name, a and b. Fix: give one.")]
    [InlineData("#!share rows --from", "#!share: --from has no value. Fix: write one after it.")]
    [InlineData("#!share", "#!share: names no variable. Fix: write it as #!share report --from value.")]
    [InlineData("#!share unmade --from value", "#!share: there is no variable 'unmade'. Fix: run the cell that makes it first.")]
    [InlineData("#!share --from fsharp rows", "#!share: takes rows from the kernel 'fsharp', but Koala's kernel runs C# alone. "
        + "Fix: make the variable in C#, or choose the kernel .NET Interactive.")]
    public async Task A_mistake_in_a_value_or_a_share_is_one_line(string code, string line)
    {
        var run = await kernel.RunAsync(code);
        Assert.Equal("error", run.Status);
        Assert.Equal(line, run.Traceback);
    }

    [Fact]
    public async Task Imports_the_cells_of_a_notebook_and_of_a_dib()
    {
        using var folder = new TemporaryFolder();
        folder.WriteNotebook("other.ipynb", "var fromNotebook = 5;", "var next = fromNotebook + 1;");
        folder.Write("other.dib", "#!meta\n\n{\"kernelInfo\":{}}\n\n#!csharp\n\nvar fromDib = 7;\n");
        await kernel.RunAsync($"#!import {folder.At("other.ipynb")}");
        await kernel.RunAsync($"#!import \"{folder.At("other.dib")}\"");

        Assert.Equal("13", (await kernel.RunAsync("next + fromDib")).Value);
    }

    [Fact]
    public async Task The_library_is_the_kernels_own()
    {
        var run = await kernel.RunAsync($"""
            #r "{TestFiles.Library}"
            using TorchSharp;
            var tensor = torch.ones(2, 3);
            tensor.sum().item<float>()
            """);
        Assert.Equal("6", run.Value);

        var counts = await kernel.RunAsync("""
            var assemblies = AppDomain.CurrentDomain.GetAssemblies();
            string.Join(" ", new[] { "TorchSharp", "Koala.Lab" }.Select(name => assemblies.Count(a => a.GetName().Name == name)))
            """);
        Assert.Equal("1 1", counts.Value);
    }

    [Fact]
    public async Task A_large_tensor_is_short()
    {
        await kernel.RunAsync($"#r \"{TestFiles.Library}\"\nusing TorchSharp;");
        var text = (await kernel.RunAsync("torch.ones(1000, 1000)")).Value!;

        Assert.StartsWith("[1000x1000], type = Float32, device = cpu; its first values:", text, StringComparison.Ordinal);
        Assert.True(text.Length < 500);
    }

    [Fact]
    public async Task Calls_get_the_cells_token_where_they_were_given_none()
    {
        var run = await kernel.RunAsync("""
            using System.Runtime.CompilerServices;
            using System.Threading;
            bool Can(int n, CancellationToken cancel = default) => cancel.CanBeCanceled;
            async IAsyncEnumerable<int> Numbers([EnumeratorCancellation] CancellationToken cancel = default)
            {
                yield return cancel.CanBeCanceled ? 1 : 0;
                await Task.Yield();
            }
            var sum = 0;
            await foreach (var x in Numbers()) sum += x;
            $"{Can(1)} {Can(1, default)} {Can(n: 1, cancel: CancellationToken.None)} {sum}"
            """);

        Assert.Equal("True False False 1", run.Value);
    }

    [Fact]
    public async Task Asking_for_input_is_an_error_if_nobody_can_answer()
    {
        var run = await kernel.RunAsync("Console.ReadLine()");

        Assert.Contains("cannot ask for input", run.Traceback, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_cell_that_writes_after_it_ended_writes_to_itself()
    {
        await kernel.RunAsync("_ = Task.Run(async () => { await Task.Delay(300); Console.WriteLine(\"late\"); });");
        var next = await kernel.RunAsync("await Task.Delay(800);\nConsole.WriteLine(\"own\");");

        Assert.Equal("own\n", next.Text);
    }
}
