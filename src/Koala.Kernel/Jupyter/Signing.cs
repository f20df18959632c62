using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using NetMQ;

namespace Koala.Kernel.Jupyter;

/// <summary>
/// Encodes messages as signed frames: identities, a delimiter, HMAC-SHA256 in hex, header, parent, metadata, content.
/// </summary>
internal sealed class Signing(string key)
{
    /// <summary>The one signature scheme that is supported.</summary>
    public const string Scheme = "hmac-sha256";

    private const int PartsAfterSignature = 4;

    private static readonly byte[] s_delimiter = "<IDS|MSG>"u8.ToArray();
    private static readonly JsonSerializerOptions s_json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, MaxDepth = 200 };

    private readonly byte[] _key = Encoding.UTF8.GetBytes(key);

    public NetMQMessage Encode(Message message)
    {
        byte[][] parts = [Json(message.Header), Json(message.Parent), "{}"u8.ToArray(), Json(message.Content)];
        var frames = new NetMQMessage();
        foreach (var identity in message.Identities) frames.Append(identity);
        frames.Append(s_delimiter);
        frames.Append(Signature(parts));
        foreach (var part in parts) frames.Append(part);
        return frames;
    }

    /// <summary>Decodes a message.</summary>
    /// <returns>
    /// The message; null if the frames are not a message or their signature is wrong. With a wrong signature nothing is
    /// parsed.
    /// </returns>
    public Message? Decode(NetMQMessage frames)
    {
        var delimiter = 0;
        while (delimiter < frames.FrameCount && !Bytes(frames[delimiter]).SequenceEqual(s_delimiter)) delimiter++;
        if (frames.FrameCount < delimiter + 2 + PartsAfterSignature) return null;
        var identities = CopyFrames(0, delimiter);
        var parts = CopyFrames(delimiter + 2, PartsAfterSignature);
        var expected = Encoding.ASCII.GetBytes(Signature(parts));
        if (!CryptographicOperations.FixedTimeEquals(Bytes(frames[delimiter + 1]), expected)) return null;
        try
        {
            return Parse(parts[0]) is { } header && Parse(parts[1]) is { } parent && Parse(parts[3]) is { } content
                ? new Message(identities, header, parent, content)
                : null;
        }
        catch (JsonException)
        {
            return null;
        }

        byte[][] CopyFrames(int first, int count) => [.. Enumerable.Range(first, count).Select(i => Bytes(frames[i]).ToArray())];

        static JsonObject? Parse(byte[] json) =>
            JsonNode.Parse(json, documentOptions: new JsonDocumentOptions { MaxDepth = 200 }) as JsonObject;
    }

    // Without a key the signature is empty, as the protocol requires.
    private string Signature(byte[][] parts)
    {
        if (_key.Length == 0) return "";
        using var hmac = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, _key);
        foreach (var part in parts) hmac.AppendData(part);
        return Convert.ToHexStringLower(hmac.GetHashAndReset());
    }

    private static ReadOnlySpan<byte> Bytes(NetMQFrame frame) => frame.Buffer.AsSpan(0, frame.MessageSize);

    private static byte[] Json(JsonObject value) => JsonSerializer.SerializeToUtf8Bytes(value, s_json);
}
