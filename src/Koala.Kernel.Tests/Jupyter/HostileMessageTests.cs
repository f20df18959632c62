using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Koala.Cli.Commands;
using Koala.Kernel.Jupyter;
using Koala.Lab;
using Koala.Lab.Tests;
using NetMQ;
using NetMQ.Monitoring;
using NetMQ.Sockets;

namespace Koala.Kernel.Tests.Jupyter;

/// <summary>Messages and connection files that are damaged or malicious: none ends the kernel or takes its memory.</summary>
public sealed class HostileMessageTests(TestKernel kernel) : IClassFixture<TestKernel>, IDisposable
{
    private const string Header = """{"msg_id":"a","session":"s","username":"u","date":"d","msg_type":"execute_request","version":"5.3"}""";

    private readonly TemporaryFolder _folder = new();

    // A socket that is closed loses what it has not sent yet, even if it lingers, so they stay open to the end of a test.
    private readonly List<DealerSocket> _senders = [];

    [Fact, Trait(PromptSample.Category, PromptSample.Sampled)]
    public void A_damaged_message_is_read_or_refused()
    {
        var signing = new Signing("");
        string[] parts = [Header, "{}", """{"polyglot_notebook":{"kernelName":"html"}}""", """{"code":"1 + 1","silent":false}"""];
        Mutations.Try(Encoding.UTF8.GetBytes(string.Join('\n', parts)), 20_261_129, bytes =>
        {
            var frames = new NetMQMessage(["<IDS|MSG>"u8.ToArray(), []]);
            foreach (var range in bytes.AsSpan().Split((byte)'\n')) frames.Append(bytes[range]);
            try
            {
                if (signing.Decode(frames) is { } message) _ = CellLanguage.OfCell(message.Metadata);
            }
            catch (Exception e) when (e is JsonException or FormatException)
            {
                throw new KoalaException("message", Excerpt.Of(e.Message), "drop it", e);
            }
        });
    }

    [Fact, Trait(PromptSample.Category, PromptSample.Sampled)]
    public void A_damaged_connection_file_is_read_or_refused()
    {
        const string Valid = """
            {"shell_port":1,"iopub_port":2,"stdin_port":3,"control_port":4,"hb_port":5,"ip":"127.0.0.1",
            "key":"k","transport":"tcp","signature_scheme":"hmac-sha256","kernel_name":"koala-csharp"}
            """;
        Mutations.Try(Encoding.UTF8.GetBytes(Valid), 20_261_130, bytes =>
        {
            ConnectionFile.Read(Mutations.Write(_folder.At("c.json"), bytes));
        });
    }

    [Theory]
    [InlineData(Header, """{"code":"1","code":"2"}""")]
    [InlineData("""{"msg_id":"a","msg_id":"b","msg_type":"execute_request"}""", "{}")]
    [InlineData("""{"msg_type":"execute_request"}""", "{}")]
    [InlineData("""{"msg_id":"a"}""", "{}")]
    [InlineData("""{"msg_id":1,"msg_type":[]}""", "{}")]
    [InlineData("null", "null")]
    [InlineData("", "")]
    [InlineData(Header, "[]")]
    [InlineData(Header, "{\"code\":\"\\ud800\"}")]
    [InlineData(Header, """{"code":{"a":1,"a":2}}""")]
    [InlineData(Header, """{"code":"1"}{"code":"2"}""")]
    public async Task A_signed_message_that_is_not_as_the_protocol_has_it_is_dropped(string header, string content)
    {
        foreach (var port in (int[])[File.ShellPort, File.ControlPort, File.StdinPort]) Send(port, Signed(header, content));

        await AssertServes();
    }

    [Fact]
    public async Task Nesting_without_end_is_dropped()
    {
        Send(File.ShellPort, Signed(Header, string.Concat(Enumerable.Repeat("{\"a\":", 100_000))));
        Send(File.ShellPort, Signed(Header, $"{{\"code\":{new string('[', 300)}{new string(']', 300)}}}"));

        await AssertServes();
    }

    [Theory]
    [InlineData("complete_request", """{"code":[],"cursor_pos":"x"}""")]
    [InlineData("complete_request", """{"code":"a","cursor_pos":1e99}""")]
    [InlineData("inspect_request", """{"code":"a","cursor_pos":{}}""")]
    [InlineData("history_request", """{"hist_access_type":"search","unique":3,"output":"x"}""")]
    [InlineData("execute_request", """{"code":"\"executed\"","silent":"x","store_history":[]}""")]
    public async Task Content_of_wrong_types_is_answered(string type, string content)
    {
        var reply = await kernel.AskAsync(type, JsonNode.Parse(content)!.AsObject());

        Assert.Equal(type == "execute_request" ? "ok" : "error", reply["status"]!.ToString());
        await AssertServes();
    }

    [Fact]
    public async Task Metadata_of_wrong_types_is_answered_with_an_error()
    {
        var run = await kernel.RunAsync("1", metadata: JsonNode.Parse("""{"polyglot_notebook":1}""")!.AsObject());

        var (type, published) = Assert.Single(run.Outputs, output => output.Type != "execute_input");
        Assert.Equal("error", type);
        Assert.Equal("error", run.Status);
        foreach (var error in (JsonObject[])[run.Reply!, published])
        {
            Assert.Equal("KoalaException", error["ename"]!.ToString());
            var line = error["evalue"]!.ToString();
            Assert.StartsWith("the cell: has metadata of which polyglot_notebook is not", line, StringComparison.Ordinal);
            Assert.DoesNotContain('\n', line);
            Assert.Equal(line, Assert.Single(error["traceback"]!.AsArray())!.ToString());
        }
        await AssertServes();
    }

    [Fact]
    public async Task Large_messages_without_a_signature_take_no_memory()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads /proc");
        await AssertServes();
        var before = PeakBytes();
        var large = new byte[100 << 20];
        foreach (var port in (int[])[File.ShellPort, File.ControlPort, File.StdinPort, File.HeartbeatPort])
            await SendUntilDisconnected(new DealerSocket(), port, new NetMQMessage(["<IDS|MSG>"u8.ToArray(), new byte[64], large, large]));
        await SendUntilDisconnected(new XSubscriberSocket(), File.IopubPort, new NetMQMessage([large, large]));

        await AssertServes();
        Assert.InRange(PeakBytes() - before, 0, large.Length);
    }

    [Fact]
    public async Task A_message_with_too_many_frames_is_dropped()
    {
        var frames = Signed(Header, """{"code":"1"}""");
        for (var i = 0; i < 1000; i++) frames.Append([]);
        Send(File.ShellPort, frames);

        // The client's identity, a delimiter, a signature and four parts come before.
        await AssertPrints("koala kernel: a message was dropped: it has 1007 frames");
        await AssertServes();
    }

    [Fact]
    public async Task A_message_whose_parts_are_too_large_together_is_dropped()
    {
        var frames = Signed(Header, """{"code":"1"}""");
        for (var i = 0; i < 2; i++) frames.Append(new byte[9 << 20]);
        Send(File.ShellPort, frames);

        await AssertPrints("koala kernel: a message was dropped: it has 9 frames and 18");
        await AssertServes();
    }

    [Theory]
    [InlineData("\"shell_port\":70000", "asks for the ports 70000")]
    [InlineData("\"shell_port\":-1", "asks for the ports -1")]
    [InlineData("\"ip\":\"not an address\"", "names an address that cannot be bound")]
    [InlineData("\"ip\":null", "is not a connection file")]
    [InlineData("\"key\":null", "is not a connection file")]
    [InlineData("\"transport\":\"ipc\"", "asks for the transport 'ipc'")]
    [InlineData("\"ip\":\"127.0.0.1\",\"ip\":\"127.0.0.1\"", "Duplicate property")]
    public void A_connection_file_that_cannot_be_served_is_refused_in_one_line(string change, string fault)
    {
        var json = new JsonObject
        {
            ["shell_port"] = 0,
            ["iopub_port"] = 0,
            ["stdin_port"] = 0,
            ["control_port"] = 0,
            ["hb_port"] = 0,
            ["ip"] = "127.0.0.1",
            ["key"] = "k",
            ["transport"] = "tcp",
        };
        json.Remove(change.Split('"')[1]);
        var path = _folder.Write("c.json", json.ToJsonString().TrimEnd('}') + $",{change}}}");
        var exception = Assert.Throws<KoalaException>(
            () => KernelProgram.CreateServer(ConnectionFile.Read(path), path, new CellCommands()));

        Assert.Contains(fault, exception.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', exception.Message);
    }

    public void Dispose()
    {
        foreach (var socket in _senders) socket.Dispose();
        _folder.Dispose();
    }

    private ConnectionFile File => kernel.Process.Connection;

    private NetMQMessage Signed(string header, string content, string metadata = "{}")
    {
        string[] texts = [header, "{}", metadata, content];
        NetMQFrame[] parts = [.. texts.Select(part => new NetMQFrame(Encoding.UTF8.GetBytes(part)))];
        var frames = new NetMQMessage(["<IDS|MSG>"u8.ToArray(), Encoding.ASCII.GetBytes(new Signing(File.Key).Signature(parts))]);
        foreach (var part in parts) frames.Append(part);
        return frames;
    }

    private void Send(int port, NetMQMessage frames)
    {
        var socket = new DealerSocket($">tcp://127.0.0.1:{port}");
        _senders.Add(socket);
        socket.SendMultipartMessage(frames);
    }

    // The kernel refuses the message by closing the connection, while it is sent.
    private static async Task SendUntilDisconnected(NetMQSocket socket, int port, NetMQMessage frames)
    {
        using var _ = socket;
        socket.Options.Linger = TimeSpan.Zero;
        var disconnected = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var monitor = new NetMQMonitor(socket, $"inproc://{Guid.NewGuid():N}", SocketEvents.Disconnected);
        monitor.Disconnected += (_, _) => disconnected.TrySetResult();
        var watching = monitor.StartAsync();
        socket.Connect($"tcp://127.0.0.1:{port}");
        socket.SendMultipartMessage(frames);
        await disconnected.Task.WaitAsync(TestKernel.Timeout);
        monitor.Stop();
        await watching;
    }

    private async Task AssertPrints(string line)
    {
        using var timeout = new CancellationTokenSource(TestKernel.Timeout);
        while (!kernel.Process.DescribeEnd().LastLines.Any(l => l.StartsWith(line, StringComparison.Ordinal)))
            await Task.Delay(20, timeout.Token);
    }

    private async Task AssertServes() => Assert.Equal("4", (await kernel.RunAsync("2 + 2")).Value);

    private long PeakBytes()
    {
        var lines = System.IO.File.ReadLines($"/proc/{kernel.Process.Id}/status");
        var line = lines.Single(l => l.StartsWith("VmHWM", StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]) * 1024;
    }
}
