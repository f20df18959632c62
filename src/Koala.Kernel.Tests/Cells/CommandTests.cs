using System.Text.Json.Nodes;

namespace Koala.Kernel.Tests.Cells;

/// <summary><c>#!koala</c>: the command line inside a notebook.</summary>
public sealed class CommandTests(TestKernel kernel) : IClassFixture<TestKernel>
{
    private static readonly string s_nano = TestFiles.At("checkpoints", "koala-nano");

    private static readonly string s_evaluate = $"evaluate --target {s_nano} --head prompt-lookup "
        + $"--prompts {TestFiles.At("data", "mt-bench.jsonl")} --limit 2 --max-tokens 8 --draft-length 2 --repeats 1";

    [Fact]
    public async Task A_report_is_the_value_of_the_cell_and_of_the_variable()
    {
        var run = await kernel.RunAsync($"#!koala {s_evaluate} --name report");

        Assert.True(run.Status == "ok", run.Traceback);
        Assert.StartsWith("target, head        koala-nano, prompt-lookup", run.Value, StringComparison.Ordinal);
        Assert.Contains("koala-report", run.Shown("text/html"), StringComparison.Ordinal);
        // The cell shows the report, so its text is not printed as well.
        Assert.DoesNotContain("acceptance length", run.Text, StringComparison.Ordinal);
        var length = await kernel.RunAsync("report.AcceptanceLength.Mean >= 1 && report.Prompts == 2");
        Assert.Equal("True", length.Value);
        // What the report says of its command line can be typed in a terminal.
        Assert.Equal(s_evaluate, (await kernel.RunAsync("string.Join(' ', report.Provenance.Command)")).Value);
    }

    [Fact]
    public async Task What_follows_the_command_in_its_cell_is_csharp_and_sees_the_variable()
    {
        var run = await kernel.RunAsync(
            $"var n = 4;\n#!koala generate --target {s_nano} --prompt \"Why is the sky blue?\" --max-tokens 8 --name answer --quiet\n"
            + "answer.Tokens.Count + n");

        Assert.True(run.Status == "ok", run.Traceback);
        Assert.Equal("12", run.Value);
        // The answer is printed as it is written, and not shown a second time.
        Assert.Equal($"{(await kernel.RunAsync("answer.Text")).Value}\n", run.Text);
    }

    [Fact]
    public async Task Progress_is_one_line_that_changes_and_goes()
    {
        var run = await kernel.RunAsync($"#!koala {s_evaluate} --quiet");
        Assert.DoesNotContain(run.Outputs, output => output.Type == "update_display_data");

        run = await kernel.RunAsync($"#!koala {s_evaluate}");
        var shown = run.Outputs.Single(output => output.Type == "display_data");
        Assert.StartsWith("evaluating: prompt 1/2", Plain(shown.Content), StringComparison.Ordinal);
        var updates = run.Outputs.Where(output => output.Type == "update_display_data").Select(output => output.Content).ToArray();
        Assert.All(updates, update => Assert.Equal(IdOf(shown.Content), IdOf(update)));
        Assert.Equal(["evaluating: prompt 2/2, 0:00 left", ""], updates.Select(Plain));

        static string Plain(JsonObject content) => content["data"]!["text/plain"]!.ToString();

        static string IdOf(JsonObject content) => content["transient"]!["display_id"]!.ToString();
    }

    [Theory]
    [InlineData("evaluat", "unknown command evaluat: did you mean evaluate? See koala --help")]
    [InlineData("generate --target nowhere --prompt a", "nowhere: does not exist. Fix: check the path.")]
    [InlineData("runs --name 1st", "--name: is '1st', but a variable of C# has another form of name. Fix: write it as --name report.")]
    [InlineData("runs --name class", "--name: is 'class', but a variable of C# has another form of name. Fix: write it as --name report.")]
    [InlineData("runs --name", "--name: has no value. Fix: write the name of a variable after it, such as --name report.")]
    [InlineData("--version --name v", "--name: is v, but this command has no result. Fix: leave --name out.")]
    [InlineData("lab", "unknown command lab. See koala --help")]
    public async Task A_mistake_is_one_line_and_the_kernel_goes_on(string command, string line)
    {
        var run = await kernel.RunAsync($"#!koala {command}");

        Assert.Equal("error", run.Status);
        Assert.Equal(line, run.Traceback);
        Assert.Equal("42", (await kernel.RunAsync("6 * 7")).Value);
    }

    [Fact]
    public async Task An_interrupted_training_saves_its_state_before_the_cell_ends()
    {
        using var folder = new TemporaryFolder();
        var interrupted = false;
        var train = $"train --target {s_nano} --head medusa --data {TestFiles.At("data", "chats-train.jsonl.gz")} --steps 100000 "
            + $"--out {folder.At("run")}";
        var run = await kernel.RunAsync($"#!koala {train}", text =>
        {
            // The line is printed right before the steps begin.
            if (interrupted || !text.Contains("held-out accuracy is that of", StringComparison.Ordinal)) return;
            interrupted = true;
            kernel.Process.Client.SendControl("interrupt_request", []);
        });

        Assert.Equal("Interrupted", run.Reply!["ename"]!.ToString());
        Assert.Contains($"Go on with: koala train --resume {folder.At("run")}", run.Text, StringComparison.Ordinal);
        var inspected = await kernel.RunAsync($"#!koala inspect {folder.At("run")}");
        Assert.Matches(@"state +interrupted", inspected.Text);
    }

    [Theory]
    [InlineData("#!ko", "koala", 2)]
    [InlineData("var x = 1;\n#!koala eva", "evaluate", 19)]
    [InlineData("#!koala evaluate --targ", "--target", 17)]
    [InlineData("#!koala train --name run --head ", "medusa", 32)]
    [InlineData("#!koala runs --na", "--name", 13)]
    public async Task Completes_commands_options_and_values(string code, string word, int start)
    {
        var reply = await kernel.AskAsync("complete_request", new JsonObject { ["code"] = code, ["cursor_pos"] = code.Length });

        Assert.Contains(word, reply["matches"]!.AsArray().Select(match => match!.ToString()));
        Assert.Equal((start, code.Length), (reply["cursor_start"]!.GetValue<int>(), reply["cursor_end"]!.GetValue<int>()));
    }
}
