using System.Diagnostics;
using System.Text;
using Koala.Kernel.Notebooks;
using Koala.Lab;
using Koala.Lab.Tests;

namespace Koala.Kernel.Tests.Notebooks;

/// <summary>Notebooks come from strangers: a damaged one is read or refused in one line.</summary>
public sealed class DamagedNotebookTests : IDisposable
{
    private const string Valid = """
        {"nbformat":4,"nbformat_minor":5,
        "metadata":{"kernelspec":{"name":".net-csharp","display_name":"C#","language":"C#"},"language_info":{"name":"polyglot-notebook"},
        "polyglot_notebook":{"kernelInfo":{"defaultKernelName":"csharp","items":[{"aliases":[],"name":"csharp"}]}}},
        "cells":[{"cell_type":"markdown","id":"a","metadata":{},"source":["# Title\n","[x](http:y) ![p](data:image/png;base64,AA)"]},
        {"cell_type":"code","id":"b","metadata":{"tags":["parameters"],"vscode":{"languageId":"csharp"}},
        "execution_count":1,
        "outputs":[{"output_type":"stream","name":"stdout","text":["one\n","\u00e9\ud83d\ude00"]},
        {"output_type":"error","ename":"E","evalue":"v","traceback":["E: v"]}],"source":"var n = 5;"},
        {"cell_type":"code","id":"c","metadata":{"polyglot_notebook":{"kernelName":"html"},"tags":["skip-execution"]},
        "execution_count":null,
        "outputs":
        [{"output_type":"display_data","data":{"text/html":"<b>x</b>","text/plain":["x"]},"metadata":{}}],"source":["<b>","</b>"]},
        {"cell_type":"raw","metadata":{},"source":"r"}]}
        """;

    private readonly TemporaryFolder _folder = new();

    [Fact, Trait(PromptSample.Category, PromptSample.Sampled)]
    public void A_damaged_notebook_is_read_or_refused() => Mutations.Try(Encoding.UTF8.GetBytes(Valid), 20_261_128, bytes =>
    {
        var notebook = Notebook.Read(Mutations.Write(_folder.At("n.ipynb"), bytes));
        notebook.CheckLanguages();
        foreach (var cell in notebook.Cells)
        {
            if (cell.Kind == "markdown") MarkdownHtml.Render(cell.Source, trusted: false);
            if (cell.IsCode) foreach (var output in cell.Outputs) OutputHtml.Render(output!.AsObject(), isOwn: true, trusted: false);
        }
        Parameters.Inject(notebook, []);
        notebook.Clear();
        notebook.WriteTo(Stream.Null);
    });

    public static TheoryData<string, string> Damaged => new()
    {
        {
            Valid.Replace("{\"name\":\".net-csharp\",\"display_name\":\"C#\",\"language\":\"C#\"}", "0.5"),
            "kernelspec is not a JSON object"
        },
        { Valid.Replace("\".net-csharp\"", "[]"), "name is not a string" },
        {
            Valid.Replace("{\"name\":\"polyglot-notebook\"}", "3").Replace("\"defaultKernelName\":\"csharp\",", "")
                .Replace(",\"language\":\"C#\"", ""),
            "language_info is not a JSON object"
        },
        { Valid.Replace("\"csharp\",\"items\"", "{},\"items\""), "defaultKernelName is not a string" },
        {
            Valid.Replace("{\"kernelName\":\"html\"}", "\"html\""),
            ", code cell 2: has metadata of which polyglot_notebook is not a JSON object"
        },
        {
            Valid.Replace("{\"languageId\":\"csharp\"}", "{\"languageId\":1}"),
            ", code cell 1: has metadata of which languageId is not a string"
        },
        { Valid.Replace("[\"skip-execution\"]", "\"skip-execution\""), ", code cell 2: has tags that are not a list of strings" },
        { Valid.Replace("[\"skip-execution\"]", "[1]"), ", code cell 2: has tags that are not a list of strings" },
        { Valid.Replace("\"var n = 5;\"", "5"), ", code cell 1: has no source" },
        { Valid.Replace("[\"<b>\",\"</b>\"]", "[null]"), ", code cell 2: has no source" },
        { Valid.Replace("\"raw\"", "1"), ", cell 1 after code cell 2: has the cell_type '1'" },
        { Valid.Replace("\"raw\"", $"\"{new string('x', 100_000)}\""), ", cell 1 after code cell 2: has the cell_type 'xxx" },
        {
            Valid.Replace("[{\"output_type\":\"display_data\"", "[[],{\"output_type\":\"display_data\""),
            ", code cell 2: has an output that is not a JSON object"
        },
        { Valid.Replace("\"id\":\"a\"", "\"id\":\"a\",\"id\":\"b\""), "Duplicate property 'id'" },
        {
            Valid.Replace("\"name\":\"stdout\"", $"\"{new string('k', 100_000)}\":1,\"{new string('k', 100_000)}\":2"),
            "Duplicate property"
        },
        { Valid.Replace("\\ud83d", ""), "half a surrogate pair" },
        { Valid.Replace("\"ename\"", "\"\\ud800\""), "half a surrogate pair" },
        { Valid.Replace("\"source\":\"r\"", $"\"source\":\"r\",\"x\":{new string('[', 300)}{new string(']', 300)}"), "depth of 200" },
        { Valid.Replace("\"nbformat\":4", "\"nbformat\":1e999"), "has no nbformat" },
        { Valid.Replace("\"nbformat_minor\":5", "\"nbformat_minor\":5.5"), "has no nbformat_minor" },
        { Valid.Replace("\"nbformat\":4", "\"nbformat\":99"), "has nbformat 99" },
    };

    [Theory]
    [MemberData(nameof(Damaged))]
    public void What_is_wrong_is_said_in_one_short_line(string text, string fault)
    {
        var run = CommandRun.Of("run", _folder.Write("n.ipynb", text));

        Assert.Equal(2, run.ExitCode);
        Assert.Contains(fault, run.Error, StringComparison.Ordinal);
        Assert.Single(run.Error.TrimEnd('\n').Split('\n'));
        Assert.InRange(run.Error.Length, 1, 600);
    }

    [Fact]
    public void Bytes_that_are_not_UTF8_are_refused()
    {
        var bytes = Encoding.UTF8.GetBytes(Valid);
        bytes[Array.IndexOf(bytes, (byte)'T')] = 0xff;
        File.WriteAllBytes(_folder.At("n.ipynb"), bytes);
        var run = CommandRun.Of("run", _folder.At("n.ipynb"));

        Assert.Equal(2, run.ExitCode);
        Assert.Contains("not valid UTF-8", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_byte_order_mark_is_skipped() =>
        Assert.Equal(4, Notebook.Read(_folder.Write("n.ipynb", "\uFEFF" + Valid)).Cells.Count);

    [Fact]
    public void A_file_without_end_and_one_that_is_too_large_are_refused_unread()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "makes a pipe");
        var pipe = _folder.At("pipe.ipynb");
        using (var mkfifo = Process.Start("mkfifo", [pipe])) mkfifo.WaitForExit();
        using (var large = File.Create(_folder.At("large.ipynb"))) large.SetLength(3L << 30);

        AssertRefused(pipe, "is a pipe");
        AssertRefused("/dev/zero", "is a device");
        AssertRefused(_folder.Path, "is a folder");
        AssertRefused(_folder.At("large.ipynb"), "has 3221225472 bytes, but at most");
    }

    [Fact]
    public void What_cannot_be_imported_is_refused_unread()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "makes a pipe");
        using (var mkfifo = Process.Start("mkfifo", [_folder.At("pipe.cs")])) mkfifo.WaitForExit();
        using (var large = File.Create(_folder.At("large.md"))) large.SetLength(3L << 30);
        Directory.CreateDirectory(_folder.At("folder.dib"));
        File.CreateSymbolicLink(_folder.At("zero.js"), "/dev/zero");
        File.WriteAllBytes(_folder.At("latin1.csx"), [0xe9]);

        (string Name, string Fault)[] files = [("pipe.cs", "is a pipe"), ("large.md", "but at most"), ("folder.dib", "is a folder"),
            ("zero.js", "is a device"), ("latin1.csx", "is not valid UTF-8"), ("none.cs", "does not exist")];
        foreach (var (name, fault) in files)
        {
            var exception = Assert.Throws<KoalaException>(() => ImportedFile.Read(_folder.At(name)));
            Assert.Equal(_folder.At(name), exception.Where);
            Assert.Contains(fault, exception.Fault, StringComparison.Ordinal);
            Assert.DoesNotContain('\n', exception.Message);
        }
    }

    private static void AssertRefused(string path, string fault)
    {
        var run = CommandRun.Of("run", path);
        Assert.Equal(2, run.ExitCode);
        Assert.StartsWith($"{path}: {fault}", run.Error, StringComparison.Ordinal);
        Assert.Single(run.Error.TrimEnd('\n').Split('\n'));
    }

    public void Dispose() => _folder.Dispose();
}
