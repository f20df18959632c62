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
    private static readonly JsonSerializerOptions s_json =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, MaxDepth = StrictJson.MaxDepth };

    private readonly byte[] _key = Encoding.UTF8.GetBytes(key);

    public NetMQMessage Encode(Message message)
    {
        byte[][] parts = [Json(message.Header), Json(message.Parent), Json(message.Metadata), Json(message.Content)];
        var frames = new NetMQMessage();
        foreach (var identity in message.Identities) frames.Append(identity);
        frames.Append(s_delimiter);
        frames.Append(Signature([.. parts.Select(part => new NetMQFrame(part))]));
        foreach (var part in parts) frames.Append(part);
        return frames;
    }

    /// <summary>Decodes a message.</summary>
    /// <returns>
    /// The message; null if the frames are not a message or their signature is wrong. With a wrong signature nothing is
    /// parsed.
    /// </returns>
    /// <exception cref="JsonException">The signature is right, but a part is not as the protocol has it.</exception>
    public Message? Decode(NetMQMessage frames)
    {
        var delimiter = 0;
        while (delimiter < frames.FrameCount && !Bytes(frames[delimiter]).SequenceEqual(s_delimiter)) delimiter++;
        if (frames.FrameCount < delimiter + 2 + PartsAfterSignature) return null;
        NetMQFrame[] parts = [.. frames.Skip(delimiter + 2).Take(PartsAfterSignature)];
        var expected = Encoding.ASCII.GetBytes(Signature(parts));
        if (!CryptographicOperations.FixedTimeEquals(Bytes(frames[delimiter + 1]), expected)) return null;
        byte[][] identities = [.. frames.Take(delimiter).Select(frame => frame.ToByteArray())];
        var header = Parse(0);
        if (!IsString(header["msg_id"]) || !IsString(header["msg_type"])) throw new JsonException("Its header has no msg_id or msg_type.");
        return new Message(identities, header, Parent: Parse(1), Content: Parse(3), Metadata: Parse(2));

        JsonObject Parse(int part) =>
            StrictJson.Parse(Bytes(parts[part])) as JsonObject ?? throw new JsonException($"Its part {part + 1} is not a JSON object.");

        static bool IsString(JsonNode? node) => node?.GetValueKind() == JsonValueKind.String;
    }

    /// <summary>Signs the parts of a message. Without a key the signature is empty, as the protocol requires.</summary>
    internal string Signature(IReadOnlyList<NetMQFrame> parts)
    {
        if (_key.Length == 0) return "";
        using var hmac = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, _key);
        foreach (var part in parts) hmac.AppendData(Bytes(part));
        return Convert.ToHexStringLower(hmac.GetHashAndReset());
    }

    private static ReadOnlySpan<byte> Bytes(NetMQFrame frame) => frame.Buffer.AsSpan(0, frame.MessageSize);

    private static byte[] Json(JsonObject value) => JsonSerializer.SerializeToUtf8Bytes(value, s_json);
}
