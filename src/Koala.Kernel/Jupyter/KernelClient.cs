using System.Text.Json.Nodes;
using System.Threading.Channels;
using Koala.Lab;
using NetMQ;
using NetMQ.Sockets;

namespace Koala.Kernel.Jupyter;

/// <summary>
/// A client of a kernel. It sends requests, and passes on the messages of the kernel in the order in which they arrive.
/// </summary>
internal sealed class KernelClient : IDisposable
{
    private readonly DealerSocket _shell = new(), _control = new(), _stdin = new();
    private readonly SubscriberSocket _iopub = new();
    private readonly NetMQQueue<(NetMQSocket Socket, NetMQMessage Frames)> _outgoing = new();
    private readonly Channel<Message> _incoming = Channel.CreateUnbounded<Message>();
    private readonly NetMQPoller _poller;
    private readonly Signing _signing;
    private readonly MessageReader _reader;
    private readonly string _session = Guid.NewGuid().ToString("N");

    public KernelClient(ConnectionFile file)
    {
        _signing = new Signing(file.Key);
        // Outputs are as long as cells make them.
        _reader = new MessageReader(_signing, long.MaxValue);
        var identity = System.Text.Encoding.ASCII.GetBytes(_session);
        _shell.Options.Identity = _control.Options.Identity = _stdin.Options.Identity = identity;
        foreach (var socket in (NetMQSocket[])[_shell, _control, _stdin, _iopub])
        {
            socket.Options.ReceiveHighWatermark = 0;
            socket.Options.Linger = TimeSpan.Zero;
            socket.ReceiveReady += (_, e) => Receive(e.Socket);
        }
        _shell.Connect($"tcp://{file.Ip}:{file.ShellPort}");
        _control.Connect($"tcp://{file.Ip}:{file.ControlPort}");
        _stdin.Connect($"tcp://{file.Ip}:{file.StdinPort}");
        _iopub.Connect($"tcp://{file.Ip}:{file.IopubPort}");
        _iopub.SubscribeToAnyTopic();
        _outgoing.ReceiveReady += (_, _) =>
        {
            while (_outgoing.TryDequeue(out var next, TimeSpan.Zero))
                next.Socket.SendMultipartMessage(next.Frames);
        };
        _poller = [_shell, _control, _stdin, _iopub, _outgoing];
        _poller.RunAsync("kernel client", isBackgroundThread: true);
    }

    /// <summary>The messages of the kernel: its replies, and everything that it publishes.</summary>
    public ChannelReader<Message> Incoming => _incoming.Reader;

    /// <summary>Sends a request that the kernel serves after all earlier ones.</summary>
    /// <param name="type">The type of the request.</param>
    /// <param name="content">The content of the request.</param>
    /// <param name="metadata">What is known about the request; null for nothing.</param>
    /// <param name="where">What an error names as its place; null for the type.</param>
    /// <returns>The id of the request, which the answers name as their parent.</returns>
    /// <exception cref="KoalaException">The request is larger than a kernel takes.</exception>
    public string Send(string type, JsonObject content, JsonObject? metadata = null, string? where = null) =>
        Send(_shell, type, content, metadata, where);

    /// <summary>Sends a request that the kernel serves at once, even while a cell runs.</summary>
    /// <returns>The id of the request, which the answers name as their parent.</returns>
    public string SendControl(string type, JsonObject content) => Send(_control, type, content);

    public void Dispose()
    {
        _poller.Stop();
        foreach (var socket in (NetMQSocket[])[_shell, _control, _stdin, _iopub]) socket.Dispose();
        _poller.Dispose();
        _outgoing.Dispose();
        _incoming.Writer.TryComplete();
    }

    private string Send(NetMQSocket socket, string type, JsonObject content, JsonObject? metadata = null, string? where = null)
    {
        var message = Message.New(type, content, _session, metadata: metadata);
        var frames = _signing.Encode(message);
        var bytes = frames.Sum(frame => (long)frame.MessageSize);
        if (bytes > MessageReader.MaxRequestBytes)
        {
            throw new KoalaException(where ?? type,
                $"makes a request of {bytes} bytes, but a kernel takes at most {MessageReader.MaxRequestBytes}",
                "move the cell's data to a file that the cell reads");
        }
        _outgoing.Enqueue((socket, frames));
        return message.Id;
    }

    private void Receive(NetMQSocket socket)
    {
        for (var i = 0; i < 100 && _reader.TryRead(socket, out var message); i++)
            if (message is not null) _incoming.Writer.TryWrite(message);
    }
}
