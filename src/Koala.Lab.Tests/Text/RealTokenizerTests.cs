using System.Text.Json;
using Koala.Lab.Text.Chat;
using Koala.Lab.Text.Tokenizers;

namespace Koala.Lab.Tests.Text;

/// <summary>
/// Tokenizers of published models against what Hugging Face's own library says; <c>docs/tokenizers.sh</c> fetches and records them.
/// </summary>
public sealed class RealTokenizerTests
{
    private static readonly string? s_folder = Environment.GetEnvironmentVariable("KOALA_TOKENIZERS");

    [Fact]
    public void Ids_and_decoded_text_are_those_of_the_tokenizers_library()
    {
        if (s_folder is null) Assert.Skip("docs/tokenizers.sh runs this test: it fetches the tokenizers of published models first");
        using var recorded = JsonDocument.Parse(File.ReadAllText(Path.Combine(s_folder!, "expected.json")));
        var (kinds, faults) = (0, new List<string>());
        foreach (var kind in recorded.RootElement.EnumerateObject())
        {
            var tokenizer = Tokenizer.Load(Path.Combine(s_folder!, kind.Name, "package", "models"));
            foreach (var example in kind.Value.EnumerateArray())
            {
                var text = example.GetProperty("text").GetString()!;
                int[] ids = [.. example.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())];
                var own = tokenizer.Encode(text, addSpecialTokens: true);
                if (!own.SequenceEqual(ids))
                    faults.Add($"{kind.Name}: '{text}': {string.Join(' ', own)} instead of {string.Join(' ', ids)}");
                var decoded = tokenizer.Decode(ids, skipSpecialTokens: true);
                if (decoded != example.GetProperty("decoded").GetString()) faults.Add($"{kind.Name}: '{text}' is decoded as '{decoded}'");
                var stream = new StreamingDetokenizer(tokenizer);
                if (string.Concat(ids.Select(stream.Append)) + stream.Flush() != decoded)
                    faults.Add($"{kind.Name}: '{text}' streams differently");
            }
            kinds++;
        }
        Assert.True(kinds > 0);
        Assert.True(faults.Count == 0, $"{faults.Count} faults:\n{string.Join('\n', faults.Take(20))}");
    }

    [Fact]
    public void Chats_in_the_models_own_templates_keep_their_text()
    {
        if (s_folder is null) Assert.Skip("docs/tokenizers.sh runs this test: it fetches the tokenizers of published models first");
        Message[] messages = [new("user", "Why?"), new("assistant", " So it is.\n"), new("user", "And?"), new("assistant", "No.")];
        var chat = new Conversation("1", "", "", "", messages);
        var templates = 0;
        var folders = Directory.GetDirectories(s_folder!).Select(kind => Path.Combine(kind, "package", "models"));
        foreach (var folder in folders.Where(Directory.Exists))
        {
            var tokenizer = Tokenizer.Load(folder);
            if (tokenizer.ChatTemplate is not { } template) continue;
            templates++;
            var sequences = new ConversationTokenizer(tokenizer).Tokenize(chat);
            if (sequences is not [var whole]) continue;
            Assert.Equal(template.Render(chat.Messages, addGenerationPrompt: false), tokenizer.Decode(whole.Tokens));
            var learned = string.Concat(whole.Tokens.Zip(whole.LossMask).Where(t => t.Second).Select(t => tokenizer.TextOf(t.First)));
            Assert.Contains("So it is.", learned);
            Assert.DoesNotContain("Why", learned);
        }
        Assert.True(templates > 3, $"{templates} templates");
    }
}
