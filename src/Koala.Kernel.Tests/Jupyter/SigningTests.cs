using System.Text.Json.Nodes;
using Koala.Kernel.Jupyter;
using NetMQ;

namespace Koala.Kernel.Tests.Jupyter;

public sealed class SigningTests
{
    private static readonly Message s_message = Message.New("kernel_info_request", new JsonObject { ["text"] = "é" }, "session", identities: [[1, 2]]);

    [Fact]
    public void A_message_comes_back_as_it_was()
    {
        var signing = new Signing("key");
        var back = signing.Decode(signing.Encode(s_message))!;

        Assert.Equal(s_message.Header.ToJsonString(), back.Header.ToJsonString());
        Assert.Equal(s_message.Content.ToJsonString(), back.Content.ToJsonString());
        Assert.Equal(s_message.Identities, back.Identities);
    }

    [Fact]
    public void Another_key_is_refused() => Assert.Null(new Signing("other").Decode(new Signing("key").Encode(s_message)));

    [Fact]
    public void Every_changed_frame_is_refused()
    {
        var signing = new Signing("key");
        var frames = signing.Encode(s_message).Select(frame => frame.ToByteArray()).ToArray();
        // Behind the identity and the delimiter: signature and what it signs.
        for (var i = 2; i < frames.Length; i++)
        {
            var changed = frames.Select(frame => frame.ToArray()).ToArray();
            changed[i][0] ^= 1;
            Assert.Null(signing.Decode(new NetMQMessage(changed)));
        }
    }

    [Fact]
    public void Frames_that_are_no_message_are_refused()
    {
        var signing = new Signing("");
        Assert.Null(signing.Decode(new NetMQMessage([[1], [2]])));
        Assert.Null(signing.Decode(new NetMQMessage(["<IDS|MSG>"u8.ToArray(), [], "{"u8.ToArray(), "{}"u8.ToArray(), "{}"u8.ToArray(), "{}"u8.ToArray()])));
        Assert.Null(signing.Decode(new NetMQMessage(["<IDS|MSG>"u8.ToArray(), [], "[]"u8.ToArray(), "{}"u8.ToArray(), "{}"u8.ToArray(), "{}"u8.ToArray()])));
    }
}
