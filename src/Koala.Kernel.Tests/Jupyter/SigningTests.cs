using System.Text.Json;
using System.Text.Json.Nodes;
using Koala.Kernel.Jupyter;
using NetMQ;

namespace Koala.Kernel.Tests.Jupyter;

public sealed class SigningTests
{
    private static readonly Message s_message =
        Message.New("kernel_info_request", new JsonObject { ["text"] = "é" }, "session", identities: [[1, 2]]);

    [Fact]
    public void A_decoded_message_equals_the_encoded_one()
    {
        var signing = new Signing("key");
        var decoded = signing.Decode(signing.Encode(s_message))!;

        Assert.Equal(s_message.Header.ToJsonString(), decoded.Header.ToJsonString());
        Assert.Equal(s_message.Content.ToJsonString(), decoded.Content.ToJsonString());
        Assert.Equal(s_message.Identities, decoded.Identities);
    }

    [Fact]
    public void A_message_signed_with_another_key_is_rejected() =>
        Assert.Null(new Signing("other").Decode(new Signing("key").Encode(s_message)));

    [Fact]
    public void A_message_with_any_changed_frame_is_rejected()
    {
        var signing = new Signing("key");
        var frames = signing.Encode(s_message).Select(frame => frame.ToByteArray()).ToArray();
        // After the identity and the delimiter come the signature and the frames that it signs.
        for (var i = 2; i < frames.Length; i++)
        {
            var changed = frames.Select(frame => frame.ToArray()).ToArray();
            changed[i][0] ^= 1;
            Assert.Null(signing.Decode(new NetMQMessage(changed)));
        }
    }

    [Fact]
    public void Frames_that_are_not_a_message_are_rejected()
    {
        var signing = new Signing("");
        Assert.Null(signing.Decode(new NetMQMessage([[1], [2]])));
        Assert.ThrowsAny<JsonException>(() => signing.Decode(WithHeader("{"u8)));
        Assert.ThrowsAny<JsonException>(() => signing.Decode(WithHeader("[]"u8)));

        static NetMQMessage WithHeader(ReadOnlySpan<byte> header) =>
            new(["<IDS|MSG>"u8.ToArray(), [], header.ToArray(), "{}"u8.ToArray(), "{}"u8.ToArray(), "{}"u8.ToArray()]);
    }
}
