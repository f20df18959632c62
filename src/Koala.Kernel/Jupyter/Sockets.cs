using NetMQ;
using NetMQ.Sockets;

namespace Koala.Kernel.Jupyter;

/// <summary>The five sockets of a kernel and the thread that they belong to. Any thread may send.</summary>
internal sealed class Sockets : IDisposable
{
    // The longest time that Dispose waits until the queued messages are sent.
    private static readonly TimeSpan s_flushTimeout = TimeSpan.FromSeconds(2);

    private readonly ResponseSocket _heartbeat = new();
    private readonly RouterSocket _shell = new(), _control = new(), _stdin = new();
    private readonly PublisherSocket _iopub = new();
    private readonly NetMQQueue<(NetMQSocket Socket, Message Message)> _outgoing = new();
    private readonly NetMQPoller _poller;
    private readonly Signing _signing;
    private readonly MessageReader _reader;

    public Sockets(ConnectionFile file)
    {
        _signing = new Signing(file.Key);
        _reader = new MessageReader(_signing, MessageReader.MaxRequestBytes);
        // A peer that announces a larger frame is disconnected before it sends it. MessageReader says what this does not limit.
        foreach (var socket in (NetMQSocket[])[_heartbeat, _shell, _control, _stdin, _iopub])
            socket.Options.MaxMsgSize = MessageReader.MaxRequestBytes;
        foreach (var socket in (NetMQSocket[])[_shell, _control, _stdin, _iopub])
        {
            // A queue of limited length would drop messages. Without a limit a slow reader costs memory instead.
            socket.Options.SendHighWatermark = 0;
            socket.Options.Linger = TimeSpan.FromSeconds(1);
        }
        File = file with
        {
            ShellPort = Bind(_shell, file, file.ShellPort),
            ControlPort = Bind(_control, file, file.ControlPort),
            StdinPort = Bind(_stdin, file, file.StdinPort),
            IopubPort = Bind(_iopub, file, file.IopubPort),
            HeartbeatPort = Bind(_heartbeat, file, file.HeartbeatPort),
        };
        _heartbeat.ReceiveReady += (_, _) => Echo();
        _shell.ReceiveReady += (_, _) => Receive(_shell, Shell);
        _control.ReceiveReady += (_, _) => Receive(_control, Control);
        _stdin.ReceiveReady += (_, _) => Receive(_stdin, Stdin);
        _outgoing.ReceiveReady += (_, _) => SendQueued();
        _poller = [_heartbeat, _shell, _control, _stdin, _outgoing];
    }

    /// <summary>The connection file with the ports that were bound.</summary>
    public ConnectionFile File { get; }

    public Action<Message>? Shell { get; set; }

    public Action<Message>? Control { get; set; }

    public Action<Message>? Stdin { get; set; }

    public void Start() => _poller.RunAsync("kernel sockets", isBackgroundThread: true);

    public void Reply(Message request, bool onControl, Message reply) =>
        _outgoing.Enqueue((onControl ? _control : _shell, reply with { Identities = request.Identities }));

    public void Ask(Message request, Message question) =>
        _outgoing.Enqueue((_stdin, question with { Identities = request.Identities }));

    public void Publish(Message message) => _outgoing.Enqueue((_iopub, message));

    /// <summary>Sends the queued messages, and closes the sockets.</summary>
    public void Dispose()
    {
        var start = TimeProvider.System.GetTimestamp();
        while (!_outgoing.IsEmpty && TimeProvider.System.GetElapsedTime(start) < s_flushTimeout) Thread.Sleep(5);
        _poller.Stop();
        foreach (var socket in (NetMQSocket[])[_shell, _control, _stdin, _iopub, _heartbeat]) socket.Dispose();
        _poller.Dispose();
        _outgoing.Dispose();
    }

    private static int Bind(NetMQSocket socket, ConnectionFile file, int port)
    {
        if (port == 0) return socket.BindRandomPort($"tcp://{file.Ip}");
        socket.Bind($"tcp://{file.Ip}:{port}");
        return port;
    }

    private void Receive(RouterSocket socket, Action<Message>? handler)
    {
        // At most 100 messages are read at a time, so that the other sockets are served too.
        for (var i = 0; i < 100 && _reader.TryRead(socket, out var message); i++)
            if (message is not null) handler?.Invoke(message);
    }

    // The socket must answer each message before it receives the next.
    private void Echo()
    {
        if (_reader.TryReadFrames(_heartbeat, out var frames)) _heartbeat.SendMultipartMessage(frames ?? new NetMQMessage([[]]));
    }

    private void SendQueued()
    {
        while (_outgoing.TryDequeue(out var next, TimeSpan.Zero))
            next.Socket.SendMultipartMessage(_signing.Encode(next.Message));
    }
}
