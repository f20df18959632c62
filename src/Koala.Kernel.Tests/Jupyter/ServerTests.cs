using System.Diagnostics;
using System.Text.Json.Nodes;
using Koala.Kernel.Jupyter;

namespace Koala.Kernel.Tests.Jupyter;

public sealed class ServerTests
{
    [Fact]
    public async Task Cells_queued_after_a_failed_one_are_aborted()
    {
        await using var kernel = new TestKernel();
        await kernel.InitializeAsync();
        var client = kernel.Process.Client;
        await kernel.RunAsync("1");
        var first = Execute(client, "await Task.Delay(300); throw new Exception(\"no\");");
        var second = Execute(client, "var ran = 1;");

        Assert.Equal("error", (await Reply(client, first))["status"]!.ToString());
        Assert.Equal("aborted", (await Reply(client, second))["status"]!.ToString());
        Assert.Equal("error", (await kernel.RunAsync("ran")).Status);
    }

    [Fact]
    public async Task A_cell_sent_after_the_failure_was_reported_runs()
    {
        // A kernel that collected the cells to abort only after its reply would abort this cell too, if it were slow.
        // It is slow at the first failure in a process, so each repetition needs a new process.
        for (var i = 0; i < 5; i++)
        {
            await using var kernel = new TestKernel();
            await kernel.InitializeAsync();
            var client = kernel.Process.Client;
            await Reply(client, Execute(client, "#!who"));
            Assert.Equal("error", (await Reply(client, Execute(client, "#!nothing")))["status"]!.ToString());
            Assert.Equal("ok", (await Reply(client, Execute(client, "#!who")))["status"]!.ToString());
        }
    }

    [Fact]
    public async Task Shutdown_ends_the_process_though_a_cell_runs()
    {
        await using var kernel = new TestKernel();
        await kernel.InitializeAsync();
        var client = kernel.Process.Client;
        Execute(client, "Console.WriteLine(\"started\"); while (true) { }");
        using (var timeout = new CancellationTokenSource(TimeSpan.FromMinutes(1)))
            while ((await client.Incoming.ReadAsync(timeout.Token)).Type != "stream") { }
        client.SendControl("shutdown_request", new JsonObject { ["restart"] = false });

        // The process ends without being killed.
        await kernel.Process.Ended.WaitAsync(TimeSpan.FromMinutes(1));
    }

    [Fact]
    public async Task A_killed_client_leaves_no_kernel()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads /proc");
        using var folder = new TemporaryFolder();
        var notebook = folder.WriteNotebook("long.ipynb",
            "System.IO.File.WriteAllText(\"pid\", Environment.ProcessId.ToString()); while (true) { }");
        var command = KernelProcess.CommandLine();
        using var client = Process.Start(new ProcessStartInfo(command[0], [.. command[1..], "run", notebook, "--quiet"]))!;
        var file = folder.At("pid");
        for (var i = 0; i < 600 && !(File.Exists(file) && new FileInfo(file).Length > 0); i++) await Task.Delay(100);
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

        // The sockets of the process that listen have the state 0A. The address 0100007F is 127.0.0.1.
        var folder = $"/proc/{kernel.Process.Id}";
        var links = Directory.GetFiles($"{folder}/fd").Select(file => new FileInfo(file).LinkTarget ?? "");
        var inodes = links.Where(link => link.StartsWith("socket:[", StringComparison.Ordinal)).Select(link => link[8..^1]).ToHashSet();
        var lines = File.ReadLines($"{folder}/net/tcp").Skip(1).Concat(File.ReadLines($"{folder}/net/tcp6").Skip(1));
        var sockets = lines.Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        var own = sockets.Where(fields => fields[3] == "0A" && inodes.Contains(fields[9]));
        var listening = own.Select(fields => fields[1].Split(':')[0]).ToArray();
        Assert.Equal(5, listening.Length);
        Assert.All(listening, address => Assert.Equal("0100007F", address));
    }

    [Fact]
    public async Task A_cell_signed_with_another_key_does_not_run()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads /proc");
        using var folder = new TemporaryFolder();
        await using var kernel = new TestKernel();
        await kernel.InitializeAsync();
        var arguments = File.ReadAllText($"/proc/{kernel.Process.Id}/cmdline").TrimEnd('\0').Split('\0');
        var file = ConnectionFile.Read(arguments[^1]);
        using var stranger = new KernelClient(file with { Key = new string('0', file.Key.Length) });
        using var other = new KernelClient(file);
        Write(stranger, "stranger");
        // In this time the kernel would also run the cell that was sent before.
        await kernel.RunAsync("await Task.Delay(1000);");
        Write(other, "other");
        for (var i = 0; i < 600 && !File.Exists(folder.At("other")); i++) await Task.Delay(100);

        Assert.True(File.Exists(folder.At("other")));
        Assert.False(File.Exists(folder.At("stranger")));

        void Write(KernelClient client, string name) => Execute(client, $"System.IO.File.WriteAllText(\"{folder.At(name)}\", \"\");");
    }

    [Fact]
    public async Task Large_output_arrives_complete()
    {
        await using var kernel = new TestKernel();
        await kernel.InitializeAsync();
        var run = await kernel.RunAsync("""
            var line = new string('x', 999) + "\n";
            for (var i = 0; i < 100_000; i++) Console.Write(line);
            """);

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
        Assert.Contains("int koalaBear", Text(await Ask("inspect_request", "koalaBear")), StringComparison.Ordinal);
        Assert.Contains("int height, string tree", Text(await Ask("inspect_request", "Climb(")), StringComparison.Ordinal);
        Assert.Equal("incomplete", (await Ask("is_complete_request", "if (true) {"))["status"]!.ToString());
        Assert.Equal("invalid", (await Ask("is_complete_request", "int x = ;"))["status"]!.ToString());
        Assert.Equal("complete", (await Ask("is_complete_request", "1 + 1"))["status"]!.ToString());

        Task<JsonObject> Ask(string type, string code)
        {
            var cursor = new System.Globalization.StringInfo(code).LengthInTextElements;
            return kernel.AskAsync(type, new JsonObject { ["code"] = code, ["cursor_pos"] = cursor, ["detail_level"] = 0 });
        }

        static string[] Words(JsonObject reply) => [.. reply["matches"]!.AsArray().Select(word => word!.ToString())];
        static string Text(JsonObject reply) => reply["data"]!["text/plain"]!.ToString();
    }

    // A process with the state Z has ended.
    private static bool IsAlive(int process)
    {
        var file = $"/proc/{process}/stat";
        return File.Exists(file) && !File.ReadAllText(file).Contains(") Z ", StringComparison.Ordinal);
    }

    private static string Execute(KernelClient client, string code) =>
        client.Send("execute_request", new JsonObject { ["code"] = code });

    private static async Task<JsonObject> Reply(KernelClient client, string id)
    {
        using var timeout = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        while (true)
        {
            var message = await client.Incoming.ReadAsync(timeout.Token);
            if (message.Type == "execute_reply" && message.Parent["msg_id"]?.ToString() == id) return message.Content;
        }
    }
}
