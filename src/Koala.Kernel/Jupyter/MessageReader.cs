using System.Text.Json;
using NetMQ;

namespace Koala.Kernel.Jupyter;

/// <summary>
/// Reads messages from sockets. Whoever can connect can send, so nothing here trusts a message without a valid signature.
/// </summary>
/// <param name="signing">Checks the signatures.</param>
/// <param name="maxBytes">The size above which a message is dropped.</param>
internal sealed class MessageReader(Signing signing, long maxBytes)
{
    /// <summary>
    /// The largest request to a kernel in bytes: many times the longest cell. Requests to this kernel have no buffers.
    /// </summary>
    public const long MaxRequestBytes = 16 << 20;

    // A request has an identity for each socket on its way, a delimiter, a signature and four parts.
    private const int MaxFrames = 64;

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
    public bool TryReadFrames(NetMQSocket socket, out NetMQMessage? frames)
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
                if (bytes > maxBytes || frames?.FrameCount >= MaxFrames) frames = null;
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
