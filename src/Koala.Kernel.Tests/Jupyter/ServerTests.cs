using System.Diagnostics;
using System.Text.Json.Nodes;
using Koala.Kernel.Jupyter;

namespace Koala.Kernel.Tests.Jupyter;

public sealed class ServerTests
{
    [Fact]
    public async Task Cells_behind_a_failed_one_are_aborted()
    {
        await using var kernel = new TestKernel();
        await kernel.InitializeAsync();
        var client = kernel.Process.Client;
        await kernel.RunAsync("1");
        var first = client.Send("execute_request", new JsonObject { ["code"] = "await Task.Delay(300); throw new Exception(\"no\");" });
        var second = client.Send("execute_request", new JsonObject { ["code"] = "var ran = 1;" });

        Assert.Equal("error", (await Reply(client, first))["status"]!.ToString());
        Assert.Equal("aborted", (await Reply(client, second))["status"]!.ToString());
        Assert.Equal("error", (await kernel.RunAsync("ran")).Status);
    }

    [Fact]
    public async Task A_cell_sent_when_the_failure_was_told_runs()
    {
        // A kernel that looks behind its reply for what to abort takes this cell for one of those, where the looking is
        // slow: at the first failure of a process.
        for (var i = 0; i < 5; i++)
        {
            await using var kernel = new TestKernel();
            await kernel.InitializeAsync();
            var client = kernel.Process.Client;
            await Reply(client, client.Send("execute_request", new JsonObject { ["code"] = "#!who" }));
            Assert.Equal("error", (await Reply(client, client.Send("execute_request", new JsonObject { ["code"] = "#!nothing" })))["status"]!.ToString());
            Assert.Equal("ok", (await Reply(client, client.Send("execute_request", new JsonObject { ["code"] = "#!who" })))["status"]!.ToString());
        }
    }

    [Fact]
    public async Task Shutdown_ends_the_process_though_a_cell_runs()
    {
        await using var kernel = new TestKernel();
        await kernel.InitializeAsync();
        var client = kernel.Process.Client;
        client.Send("execute_request", new JsonObject { ["code"] = "Console.WriteLine(\"started\"); while (true) { }" });
        using (var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1)))
            while ((await client.Incoming.ReadAsync(patience.Token)).Type != "stream") { }
        client.SendControl("shutdown_request", new JsonObject { ["restart"] = false });

        // By itself: nobody kills it.
        await kernel.Process.Ended.WaitAsync(TimeSpan.FromMinutes(1));
    }

    [Fact]
    public async Task A_killed_client_leaves_no_kernel()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads /proc");
        using var folder = new TemporaryFolder();
        var notebook = folder.WriteNotebook("long.ipynb", $"System.IO.File.WriteAllText(\"pid\", Environment.ProcessId.ToString()); while (true) {{ }}");
        var command = KernelProcess.CommandLine();
        using var client = Process.Start(new ProcessStartInfo(command[0], [.. command[1..], "run", notebook, "--quiet"]))!;
        var file = folder.At("pid");
        for (var i = 0; i < 600 && !(File.Exists(file) && File.ReadAllText(file).Length > 0); i++) await Task.Delay(100);
        var kernel = int.Parse(await File.ReadAllTextAsync(file));
        Assert.True(Directory.Exists($"/proc/{kernel}"));

        client.Kill(entireProcessTree: false);
        await client.WaitForExitAsync();
        for (var i = 0; i < 300 && IsAlive(kernel); i++) await Task.Delay(100);

        Assert.False(IsAlive(kernel));
    }

    [Fact]
    public async Task The_port_is_on_the_address_of_the_connection_file_only()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads /proc");
        await using var kernel = new TestKernel();
        await kernel.InitializeAsync();

        // Listening sockets of the process itself: state 0A, local address 0100007F.
        var inodes = Directory.GetFiles($"/proc/{kernel.Process.Id}/fd").Select(fd => new FileInfo(fd).LinkTarget).Where(target => target?.StartsWith("socket:[", StringComparison.Ordinal) == true)
            .Select(target => target![8..^1]).ToHashSet();
        var listening = File.ReadLines($"/proc/{kernel.Process.Id}/net/tcp").Skip(1).Concat(File.ReadLines($"/proc/{kernel.Process.Id}/net/tcp6").Skip(1))
            .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Where(f => f[3] == "0A" && inodes.Contains(f[9])).Select(f => f[1].Split(':')[0]).ToArray();
        Assert.Equal(5, listening.Length);
        Assert.All(listening, address => Assert.Equal("0100007F", address));
    }

    [Fact]
    public async Task What_is_signed_with_another_key_is_not_run()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads /proc");
        using var folder = new TemporaryFolder();
        await using var kernel = new TestKernel();
        await kernel.InitializeAsync();
        var file = ConnectionFile.Read(File.ReadAllText($"/proc/{kernel.Process.Id}/cmdline").TrimEnd('\0').Split('\0')[^1]);
        using var stranger = new KernelClient(file with { Key = new string('0', file.Key.Length) });
        using var other = new KernelClient(file);
        Write(stranger, "stranger");
        // Long enough for what came before it.
        await kernel.RunAsync("await Task.Delay(1000);");
        Write(other, "other");
        for (var i = 0; i < 600 && !File.Exists(folder.At("other")); i++) await Task.Delay(100);

        Assert.True(File.Exists(folder.At("other")));
        Assert.False(File.Exists(folder.At("stranger")));

        void Write(KernelClient client, string name) => client.Send("execute_request", new JsonObject { ["code"] = $"System.IO.File.WriteAllText(\"{folder.At(name)}\", \"\");" });
    }

    [Fact]
    public async Task Much_output_arrives_whole()
    {
        await using var kernel = new TestKernel();
        await kernel.InitializeAsync();
        var run = await kernel.RunAsync("var line = new string('x', 999) + \"\\n\"; for (var i = 0; i < 100_000; i++) Console.Write(line);");

        Assert.Equal(100_000_000, run.Text.Length);
        Assert.Equal("2", (await kernel.RunAsync("1 + 1")).Value);
    }

    [Fact]
    public async Task Answers_completion_hover_signatures_and_completeness()
    {
        await using var kernel = new TestKernel();
        await kernel.InitializeAsync();
        await kernel.RunAsync("var koalaBear = 12;\nint Climb(int height, string tree) => height;");

        Assert.Contains("koalaBear", Words(await Ask("complete_request", "koalaB")));
        Assert.Contains("WriteLine", Words(await Ask("complete_request", "/* 𝒳 */ Console.Wri")));
        Assert.Contains("markdown", Words(await Ask("complete_request", "#!ma")));
        Assert.Contains("int koalaBear", (await Ask("inspect_request", "koalaBear"))["data"]!["text/plain"]!.ToString(), StringComparison.Ordinal);
        Assert.Contains("int height, string tree", (await Ask("inspect_request", "Climb("))["data"]!["text/plain"]!.ToString(), StringComparison.Ordinal);
        Assert.Equal("incomplete", (await Ask("is_complete_request", "if (true) {"))["status"]!.ToString());
        Assert.Equal("invalid", (await Ask("is_complete_request", "int x = ;"))["status"]!.ToString());
        Assert.Equal("complete", (await Ask("is_complete_request", "1 + 1"))["status"]!.ToString());

        Task<JsonObject> Ask(string type, string code) => kernel.AskAsync(type, new JsonObject { ["code"] = code, ["cursor_pos"] = new System.Globalization.StringInfo(code).LengthInTextElements, ["detail_level"] = 0 });
        static string[] Words(JsonObject reply) => [.. reply["matches"]!.AsArray().Select(word => word!.ToString())];
    }

    private static bool IsAlive(int process) => File.Exists($"/proc/{process}/stat") && !File.ReadAllText($"/proc/{process}/stat").Contains(") Z ", StringComparison.Ordinal);

    private static async Task<JsonObject> Reply(KernelClient client, string id)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        while (true)
        {
            var message = await client.Incoming.ReadAsync(patience.Token);
            if (message.Type == "execute_reply" && message.Parent["msg_id"]?.ToString() == id) return message.Content;
        }
    }
}
