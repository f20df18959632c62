using System.Diagnostics;
using System.Text.Json.Nodes;
using Koala.Kernel.Jupyter;

namespace Koala.Kernel.Tests.Interrupts;

/// <summary>Interrupts of cells that print "started" and then would not end.</summary>
public sealed class InterruptTests(TestKernel kernel) : IClassFixture<TestKernel>
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(3);

    public static TheoryData<string, string> Hostile => new()
    {
        { "awaited delay", "await Task.Delay(60_000);" },
        { "sleep", "System.Threading.Thread.Sleep(60_000);" },
        { "Task.Wait", "Task.Delay(60_000).Wait();" },
        { "semaphore", "new System.Threading.SemaphoreSlim(0).Wait();" },
        { "while", "while(true){}" },
        { "for", "for(;;);" },
        { "goto", "again: goto again;" },
        { "loop after an await", "await Task.Delay(1); var n = 0L; while (true) n++;" },
        { "loop in finally", "try { } finally { while (true) { } }" },
        { "parallel loops", "Parallel.For(0, 8, i => { while (true) { } });" },
        { "task with a loop", "await Task.Run(() => { while (true) { } });" },
        { "loop around try", "while (true) { try { System.Threading.Thread.Sleep(10); } catch { } }" },
        {
            "endless stream",
            "async IAsyncEnumerable<int> Endless() { for (var i = 0; ; i++) { await Task.Yield(); yield return i; } }\n" +
            "await foreach (var x in Endless()) { }"
        },
        { "loop in a function of an earlier cell", "Spin();" },
    };

    [Theory]
    [MemberData(nameof(Hostile))]
    public async Task Stops_within_three_seconds(string name, string code)
    {
        await kernel.RunAsync("void Spin() { while (true) { } }");
        var (run, seconds) = await Interrupt(kernel, code);

        Assert.True(seconds < s_limit.TotalSeconds, $"{name}: {seconds:F1} s");
        Assert.Equal("error", run.Status);
        Assert.Equal("Interrupted", run.Reply!["ename"]!.ToString());
        Assert.Equal("42", (await kernel.RunAsync("6 * 7")).Value);
    }

    [Fact]
    public async Task A_full_thread_pool_is_no_obstacle()
    {
        for (var i = 0; i < 10; i++)
        {
            var (run, seconds) = await Interrupt(kernel, "Parallel.For(0, 100, i => { while (true) { } });");

            Assert.Equal("Interrupted", run.Reply!["ename"]!.ToString());
            Assert.True(seconds < s_limit.TotalSeconds, $"{seconds:F1} s");
        }
    }

    [Fact]
    public async Task Code_that_catches_everything_is_stopped_too()
    {
        var (run, seconds) = await Interrupt(kernel, "for (;;) { try { while (true) { } } catch (Exception) { } }");

        Assert.True(seconds < s_limit.TotalSeconds);
        Assert.Equal("Interrupted", run.Reply!["ename"]!.ToString());
    }

    [Theory]
    [InlineData(
        "var options = new GenerationOptions { Temperature = 1, MaxTokens = 400 };\n" +
        "new SpeculativeDecoder(target).Generate([1, 2, 3], options, _ => System.Threading.Thread.SpinWait(20_000_000))")]
    [InlineData("TrainingRun.Start(RunFolder.Create(System.IO.Path.Combine(folder, \"run\")), target, data, plan, [\"train\"]);")]
    public async Task Work_of_the_library_stops_between_its_steps(string code)
    {
        using var folder = new TemporaryFolder();
        var prepared = await kernel.RunAsync(Prepared(folder));
        Assert.True(prepared.Status == "ok", prepared.Traceback);
        var (run, seconds) = await Interrupt(kernel, code);

        Assert.Equal("Interrupted", run.Reply!["ename"]!.ToString());
        Assert.True(seconds < s_limit.TotalSeconds, $"{seconds:F1} s");
    }

    /// <summary>A cell with a target, data, and a plan of training that does not end by itself.</summary>
    internal static string Prepared(TemporaryFolder folder) => $$"""
            #r "{{TestFiles.Library}}"
            using Koala.Lab.Data;
            using Koala.Lab.Decoding;
            using Koala.Lab.Heads.Medusa;
            using Koala.Lab.Runs;
            using Koala.Lab.Targets;
            using Koala.Lab.Training;
            var folder = "{{folder.Path}}";
            var target = Target.Load("{{TestFiles.At("checkpoints", "koala-nano")}}");
            var training = new TrainingOptions { Steps = 1_000_000, Batch = 1, RowLength = 64, Warmup = 1 };
            var chats = folder + "/chats.jsonl";
            var answer = "{\"role\":\"assistant\",\"content\":\"A number, and a small one at that.\"}";
            string Chat(int i) => "{\"messages\":[{\"role\":\"user\",\"content\":\"What is " + i + "?\"}," + answer + "]}\n";
            System.IO.File.WriteAllText(chats, string.Concat(Enumerable.Range(0, 40).Select(Chat)));
            var data = TrainingData.Load(target, chats, chats, training);
            var request = new TrainingRequest { Data = chats, Head = new MedusaOptions(), Training = training };
            var plan = new TrainingPlan(request, target, data);
            """;

    /// <summary>A cell that trains, behind <see cref="Prepared"/>. It prints "started" after its first step.</summary>
    internal const string Training = """
        var head = Koala.Lab.Heads.DraftHead.Create(new MedusaOptions(), target);
        var metrics = new List<StepMetrics>();
        void Keep(StepMetrics step)
        {
            metrics.Add(step);
            if (metrics.Count == 1) Console.WriteLine("started");
        }
        using (var trainer = new Trainer(target, head, data, training)) trainer.Run(Keep, save: () => { });
        """;

    /// <summary>A cell that goes on with what <see cref="Training"/> left; its value is the number of steps in all.</summary>
    internal const string ThreeMoreSteps = """
        using (var trainer = new Trainer(target, head, data, training with { Steps = 3 })) trainer.Run(metrics.Add, save: () => { });
        metrics.Count
        """;

    /// <summary>Half an hour of training must not be lost because somebody presses Stop.</summary>
    [Fact]
    public async Task What_a_cell_had_assigned_before_it_was_interrupted_stays()
    {
        var (run, _) = await Interrupt(kernel, """
            var kept = new List<int> { 1, 2 };
            var counted = 0;
            while (true) counted++;
            var never = 1;
            """);
        Assert.Equal("Interrupted", run.Reply!["ename"]!.ToString());
        Assert.Equal("2", (await kernel.RunAsync("kept.Count")).Value);
        Assert.Equal("True", (await kernel.RunAsync("counted > 0")).Value);
        Assert.Equal("0", (await kernel.RunAsync("never")).Value);
    }

    [Fact]
    public async Task Training_that_was_interrupted_keeps_its_head_and_metrics_and_goes_on_from_them()
    {
        using var folder = new TemporaryFolder();
        await kernel.RunAsync(Prepared(folder));
        var (run, _) = await Interrupt(kernel, Training, saysSo: true);
        Assert.Equal("Interrupted", run.Reply!["ename"]!.ToString());
        Assert.Equal("True", (await kernel.RunAsync("metrics.Count > 0 && metrics.All(step => step.Loss > 0)")).Value);
        var done = int.Parse((await kernel.RunAsync("metrics.Count")).Value!);
        var more = await kernel.RunAsync(ThreeMoreSteps);
        Assert.True(more.Status == "ok", more.Traceback);
        Assert.Equal($"{done + 3}", more.Value);
    }

    /// <summary>A cell that was given up ends later than the cell after it, whose variables it must not replace.</summary>
    [Fact]
    public async Task A_cell_that_was_given_up_does_not_replace_the_variables_of_a_later_one()
    {
        var (run, _) = await Interrupt(kernel, """
            var late = new TaskCompletionSource();
            System.Threading.ThreadPool.QueueUserWorkItem(_ => { System.Threading.Thread.Sleep(2500); late.SetResult(); });
            await late.Task.ConfigureAwait(false);
            var given = "up";
            """);
        Assert.Equal("Interrupted", run.Reply!["ename"]!.ToString());
        Assert.Equal("ok", (await kernel.RunAsync("var newer = 5;")).Status);
        await Task.Delay(3000);
        Assert.Equal("5", (await kernel.RunAsync("newer")).Value);
    }

    [Fact]
    public async Task An_interrupt_of_an_idle_kernel_has_no_effect()
    {
        // The interrupt must be answered before the cell is sent. The two use different sockets, and a late interrupt
        // would end the cell.
        await kernel.AskAsync("interrupt_request", [], control: true);

        Assert.Equal("2", (await kernel.RunAsync("1 + 1")).Value);
    }

    [Theory]
    [InlineData("Enumerable.Range(0, int.MaxValue).SelectMany(_ => Enumerable.Range(0, int.MaxValue)).LongCount()")]
    [InlineData("new System.Text.RegularExpressions.Regex(\"^(a+)+$\").IsMatch(new string('a', 60) + \"!\")")]
    public async Task A_message_says_when_only_a_restart_helps_and_a_restart_works(string code)
    {
        await using var doomed = new TestKernel();
        await doomed.InitializeAsync();
        var client = doomed.Process.Client;
        var startedCode = $"Console.WriteLine(\"started\");\n{code}";
        client.Send("execute_request", new JsonObject { ["code"] = startedCode, ["silent"] = false });
        await NextText(client);
        await Task.Delay(200);
        client.SendControl("interrupt_request", []);

        Assert.Contains("restart the kernel", await NextText(client), StringComparison.Ordinal);

        var process = doomed.Process.Id;
        await doomed.Process.ShutdownAsync();
        Assert.True(doomed.Process.HasExited);
        Assert.False(Directory.Exists($"/proc/{process}"));
    }

    private static async Task<string> NextText(KernelClient client)
    {
        using var timeout = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        while (true)
        {
            var message = await client.Incoming.ReadAsync(timeout.Token);
            if (message.Type == "stream") return message.Content["text"]!.ToString();
        }
    }

    // The cell begins by printing that it has started, or says so itself where it has come as far as the test needs.
    private static async Task<(CellRun Run, double Seconds)> Interrupt(TestKernel kernel, string code, bool saysSo = false)
    {
        var sent = 0L;
        var run = await kernel.RunAsync(saysSo ? code : $"Console.WriteLine(\"started\");\n{code}", text =>
        {
            if (sent != 0 || !text.Contains("started", StringComparison.Ordinal)) return;
            // After this time the cell is inside the code that does not end.
            Thread.Sleep(200);
            sent = Stopwatch.GetTimestamp();
            kernel.Process.Client.SendControl("interrupt_request", []);
        });
        return (run, Stopwatch.GetElapsedTime(sent).TotalSeconds);
    }
}
