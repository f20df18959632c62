using System.Text.Json;
using NetMQ;

namespace Koala.Kernel.Jupyter;

/// <summary>
/// Reads messages from sockets. Whoever can connect can send, so nothing here trusts a message without a valid signature.
/// </summary>
/// <remarks>
/// A message that is dropped for its size was in memory before. NetMQ limits each frame (the option MaxMsgSize), and its high watermark
/// counts whole messages; but it gathers the frames of a message until the last one has come, and tells nobody about them. So a client
/// that sends small frames without an end still fills the memory, without a signature. Nothing here can see that.
/// </remarks>
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
        var (count, bytes) = (0L, 0L);
        var frame = new Msg();
        frame.InitEmpty();
        try
        {
            if (!socket.TryReceive(ref frame, TimeSpan.Zero)) return false;
            while (true)
            {
                bytes += frame.Size;
                count++;
                if (bytes > maxBytes || count > MaxFrames) frames = null;
                frames?.Append(frame.CloneData());
                if (!frame.HasMore) break;
                // All frames of a message arrive together.
                socket.Receive(ref frame);
            }
            if (frames is null) StandardError.WriteLine($"a message was dropped: it has {count} frames and {bytes} bytes, too many");
            return true;
        }
        finally
        {
            frame.Close();
        }
    }
}
