using NetMQ;
using NetMQ.Sockets;

namespace Koala.Kernel.Jupyter;

/// <summary>The five sockets of a kernel and the thread they belong to. Sending is open to any thread.</summary>
internal sealed class Sockets : IDisposable
{
    // How long the end waits for what is still queued.
    private static readonly TimeSpan s_farewell = TimeSpan.FromSeconds(2);

    private readonly ResponseSocket _heartbeat = new();
    private readonly RouterSocket _shell = new(), _control = new(), _stdin = new();
    private readonly PublisherSocket _iopub = new();
    private readonly NetMQQueue<(NetMQSocket Socket, Message Message)> _outgoing = new();
    private readonly NetMQPoller _poller;
    private readonly Signing _signing;

    public Sockets(ConnectionFile file)
    {
        _signing = new Signing(file.Key);
        // A full queue would drop messages: a reader that is slow costs memory instead.
        foreach (var socket in (NetMQSocket[])[_shell, _control, _stdin, _iopub]) socket.Options.SendHighWatermark = 0;
        foreach (var socket in (NetMQSocket[])[_shell, _control, _stdin, _iopub]) socket.Options.Linger = TimeSpan.FromSeconds(1);
        File = file with
        {
            ShellPort = Bind(_shell, file, file.ShellPort),
            ControlPort = Bind(_control, file, file.ControlPort),
            StdinPort = Bind(_stdin, file, file.StdinPort),
            IopubPort = Bind(_iopub, file, file.IopubPort),
            HeartbeatPort = Bind(_heartbeat, file, file.HeartbeatPort),
        };
        _heartbeat.ReceiveReady += (_, _) => _heartbeat.SendMultipartMessage(_heartbeat.ReceiveMultipartMessage());
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

    public void Start() => _poller.RunAsync("wire", isBackgroundThread: true);

    public void Reply(Message request, bool onControl, Message reply) => _outgoing.Enqueue((onControl ? _control : _shell, reply with { Identities = request.Identities }));

    public void Ask(Message request, Message question) => _outgoing.Enqueue((_stdin, question with { Identities = request.Identities }));

    public void Publish(Message message) => _outgoing.Enqueue((_iopub, message));

    /// <summary>Sends what is queued, and closes.</summary>
    public void Dispose()
    {
        var begun = TimeProvider.System.GetTimestamp();
        while (!_outgoing.IsEmpty && TimeProvider.System.GetElapsedTime(begun) < s_farewell) Thread.Sleep(5);
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
        NetMQMessage? frames = null;
        // Only a few at a time, so that the other sockets have their turn.
        for (var i = 0; i < 100 && socket.TryReceiveMultipartMessage(ref frames); i++)
        {
            // A wrong signature is dropped without a word.
            if (_signing.Decode(frames!) is { } message) handler?.Invoke(message);
        }
    }

    private void SendQueued()
    {
        while (_outgoing.TryDequeue(out var next, TimeSpan.Zero)) next.Socket.SendMultipartMessage(_signing.Encode(next.Message));
    }
}
