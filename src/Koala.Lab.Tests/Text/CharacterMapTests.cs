using System.Text;
using Koala.Lab.Text.Tokenizers;

namespace Koala.Lab.Tests.Text;

/// <summary>
/// SentencePiece's own table of replaced characters, <c>nmt_nfkc</c>, which most of its models have. A model with it is trained here, since
/// the table alone has 240 KB.
/// </summary>
public sealed class CharacterMapTests : IDisposable
{
    // Trains a model on a text with the normalization that is SentencePiece's default, and encodes each line of another text.
    private const string Program = """
        import sys, sentencepiece
        folder, corpus = sys.argv[1:]
        sentencepiece.SentencePieceTrainer.train(input=corpus, model_prefix=folder + "/tokenizer", vocab_size=1500, byte_fallback=True,
            hard_vocab_limit=False, normalization_rule_name="nmt_nfkc", minloglevel=2)
        model = sentencepiece.SentencePieceProcessor(model_file=folder + "/tokenizer.model")
        with open(folder + "/lines", encoding="utf-8", newline="\n") as lines, open(folder + "/ids", "w") as ids:
            for line in lines:
                print(*model.encode(line[:-1]), file=ids)
        """;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact, Trait(PromptSample.Category, PromptSample.Sampled)]
    public void Every_character_and_random_sequences_have_the_ids_of_SentencePiece_itself()
    {
        var random = new Random(1);
        string[] lines =
        [
            .. Enumerable.Range(0, 0x110000).Where(code => code != '\n' && Rune.IsValid(code) && IsTried(code))
                .Select(code => new Rune(code)).Select(rune => $"a{rune}b {rune}"),
            .. Enumerable.Range(0, PromptSample.Count(100_000, 5000)).Select(_ => Sequence(random)),
        ];
        File.WriteAllText(_folder.At("lines"), string.Concat(lines.Select(line => line + "\n")), new UTF8Encoding(false));
        SystemPython.Run("sentencepiece", "-c", Program, _folder.Path, TestFiles.At("docs", "architecture.md"));
        Assert.True(new FileInfo(_folder.At("tokenizer.model")).Length > 200_000, "the model has no table");
        var tokenizer = Tokenizer.Load(_folder.Path);
        var expected = File.ReadAllLines(_folder.At("ids"));
        Assert.Equal(lines.Length, expected.Length);
        for (var i = 0; i < lines.Length; i++)
        {
            var ids = string.Join(' ', tokenizer.Encode(lines[i]));
            if (ids != expected[i])
            {
                var runes = string.Join(' ', lines[i].EnumerateRunes().Select(rune => $"U+{rune.Value:X4}"));
                Assert.Fail($"{runes}: {ids}, not {expected[i]}");
            }
        }
    }

    // The planes of letters, always; the others, of which few characters are replaced, in part.
    private static bool IsTried(int code) => code < 0x20000 || code % PromptSample.Count(1, 100) == 0;

    // Characters that compose or are replaced, with marks that follow them.
    private static string Sequence(Random random)
    {
        int[] marks = [0x300, 0x301, 0x302, 0x327, 0x3099, 0x309A, 0x1161, 0x11A8, 0x200D, ' '];
        var text = new StringBuilder();
        for (var n = random.Next(1, 13); n > 0; n--)
        {
            var code = random.Next(3) switch
            {
                0 => marks[random.Next(marks.Length)],
                1 => random.Next(1, 0x3400),
                _ => random.Next(0xF900, 0xFFFE),
            };
            if (code != '\n') text.Append(new Rune(code));
        }
        return text.ToString();
    }
}
