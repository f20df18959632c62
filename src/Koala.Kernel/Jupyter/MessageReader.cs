using System.Text.Json;
using NetMQ;

namespace Koala.Kernel.Jupyter;

/// <summary>Reads messages from sockets. Whoever can connect can send, so nothing here trusts a message without a valid signature.</summary>
/// <param name="signing">Checks the signatures.</param>
internal sealed class MessageReader(Signing signing)
{
    /// <summary>
    /// The largest message in bytes. A cell of a megabyte is rare; messages of this kernel have no buffers.
    /// </summary>
    public const long MaxBytes = 32 << 20;

    // A request has an identity for each socket on its way, a delimiter, a signature and four parts.
    private const int MaxFrames = 64;

    /// <summary>Limits what a socket accepts. A peer that announces a larger frame is disconnected before it sends it.</summary>
    public static void Limit(NetMQSocket socket) => socket.Options.MaxMsgSize = MaxBytes;

    /// <summary>Reads the next message that has arrived.</summary>
    /// <param name="socket">A socket of the calling thread.</param>
    /// <param name="message">The message; null if it was dropped.</param>
    /// <returns>Whether a message had arrived.</returns>
    public bool TryRead(NetMQSocket socket, out Message? message)
    {
        message = null;
        if (!TryReadFrames(socket, out var frames)) return false;
        try
        {
            if (frames is not null) message = signing.Decode(frames);
        }
        catch (JsonException e)
        {
            StandardError.WriteLine($"a signed message was dropped: {Excerpt.Of(e.Message)}");
        }
        return true;
    }

    /// <summary>Reads the frames of the next message that has arrived.</summary>
    /// <param name="socket">A socket of the calling thread.</param>
    /// <param name="frames">The frames; null if they are too many or too large.</param>
    /// <returns>Whether a message had arrived.</returns>
    public static bool TryReadFrames(NetMQSocket socket, out NetMQMessage? frames)
    {
        frames = new NetMQMessage();
        var bytes = 0L;
        var frame = new Msg();
        frame.InitEmpty();
        try
        {
            if (!socket.TryReceive(ref frame, TimeSpan.Zero)) return false;
            while (true)
            {
                bytes += frame.Size;
                if (bytes > MaxBytes || frames?.FrameCount >= MaxFrames) frames = null;
                frames?.Append(frame.CloneData());
                if (!frame.HasMore) return true;
                // All frames of a message arrive together.
                socket.Receive(ref frame);
            }
        }
        finally
        {
            frame.Close();
        }
    }
}
