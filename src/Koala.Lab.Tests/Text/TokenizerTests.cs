using System.Text.Json;
using CsCheck;
using Koala.Lab.Text.Chat;
using Koala.Lab.Text.Tokenizers;

namespace Koala.Lab.Tests.Text;

public sealed class TokenizerTests
{
    private static readonly Tokenizer s_nano = Tokenizer.Load(ShippedModels.Folder("koala-nano"));
    private static readonly Tokenizer s_mini = Tokenizer.Load(ShippedModels.Folder("koala-mini"));

    [Theory]
    [InlineData("koala-nano")]
    [InlineData("koala-mini")]
    public void Ids_and_text_equal_the_recorded_ones(string name)
    {
        using var document = JsonDocument.Parse(TestFiles.Unpacked("src", "Koala.Lab.Tests", "Text", "files", "tokens.json.gz"));
        var tokenizer = Of(name);
        foreach (var example in document.RootElement.GetProperty("tokenizers").GetProperty(name).EnumerateArray())
        {
            int[] ids = [.. example.GetProperty("ids").EnumerateArray().Select(x => x.GetInt32())];
            Assert.Equal(ids, tokenizer.Encode(example.GetProperty("text").GetString()!));
            Assert.Equal(example.GetProperty("decoded").GetString(), tokenizer.Decode(ids));
        }
    }

    [Theory]
    [InlineData("koala-nano")]
    [InlineData("koala-mini")]
    public void Chats_are_rendered_and_encoded_as_recorded(string name)
    {
        using var document = JsonDocument.Parse(Golden.Unpacked($"{name}.json.gz"));
        var tokenizer = Of(name);
        foreach (var prompt in document.RootElement.GetProperty("prompts").EnumerateArray())
        {
            Message[] messages = [new(Message.User, prompt.GetProperty("chat").GetString()!)];
            Assert.Equal(prompt.GetProperty("text").GetString(),
                tokenizer.ChatTemplate!.Render(messages, addGenerationPrompt: true));
            Assert.Equal(prompt.GetProperty("ids").EnumerateArray().Select(x => x.GetInt32()), tokenizer.EncodeChat(messages));
            int[] answer = [.. prompt.GetProperty("greedy").EnumerateArray().Select(x => x.GetInt32())];
            Assert.Equal(prompt.GetProperty("decoded").GetString(), tokenizer.Decode(answer, skipSpecialTokens: true));
        }
    }

    private static Tokenizer Of(string name) => name == "koala-nano" ? s_nano : s_mini;

    [Fact]
    public void Any_text_survives_a_round_trip() => Gen.String.Sample(text =>
        s_nano.Decode(s_nano.Encode(text)) == new string([.. text.EnumerateRunes().SelectMany(r => r.ToString())]));

    [Fact]
    public void Streaming_any_ids_gives_their_text() => Gen.Int[0, 511].Array[0, 40].Sample(ids =>
    {
        var stream = new StreamingDetokenizer(s_nano);
        return string.Concat(ids.Select(stream.Append)) + stream.Flush() == s_nano.Decode(ids, skipSpecialTokens: true);
    });
}
