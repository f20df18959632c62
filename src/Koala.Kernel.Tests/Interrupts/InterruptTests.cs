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
        var prepared = await kernel.RunAsync($$"""
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
            """);
        Assert.True(prepared.Status == "ok", prepared.Traceback);
        var (run, seconds) = await Interrupt(kernel, code);

        Assert.Equal("Interrupted", run.Reply!["ename"]!.ToString());
        Assert.True(seconds < s_limit.TotalSeconds, $"{seconds:F1} s");
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

    private static async Task<(CellRun Run, double Seconds)> Interrupt(TestKernel kernel, string code)
    {
        var sent = 0L;
        var run = await kernel.RunAsync($"Console.WriteLine(\"started\");\n{code}", text =>
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
