using Koala.Lab.Data;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Text.Tokenizers;

namespace Koala.Lab.Tests.Data;

public sealed class TokenCacheTests
{
    private static readonly Tokenizer s_nano = Tokenizer.Load(ShippedModels.Folder("koala-nano"));

    [Fact]
    public void A_second_load_gives_the_same_rows_from_the_cache_and_a_damaged_file_is_rebuilt()
    {
        using var folder = new TemporaryFolder();
        var path = folder.At("chats.jsonl");
        // The text is unique, so that the user's cache has no entry for it.
        var unique = Guid.NewGuid();
        File.WriteAllLines(path, Enumerable.Range(0, 20).Select(i =>
            $$"""{"id":"{{i}}","done":{{(i % 2 == 0 ? "true" : "false")}},"messages":[""" +
            $$"""{"role":"user","content":"Say {{unique}}"},""" +
            $$"""{"role":"assistant","content":"{{string.Concat(Enumerable.Repeat("word ", 3 * i))}}"}]}"""));
        var first = TokenCache.Load(path, s_nano, 128);
        var file = Path.Combine(CacheFolder.Path, "tokens", $"{first.Hash}.{PackedFile.Format}.rows");
        try
        {
            var written = File.ReadAllBytes(file);
            Equal(first, TokenCache.Load(path, s_nano, 128));
            Assert.Equal(first.Hash, PackedFile.Read(written, first.Hash, 128)!.Hash);

            foreach (var damaged in (byte[][])[[], written[..40], written[..^1],
                [.. written[..^50], (byte)(written[^50] ^ 1), .. written[^49..]]])
            {
                Assert.Null(PackedFile.Read(damaged, first.Hash, 128));
                File.WriteAllBytes(file, damaged);
                Equal(first, TokenCache.Load(path, s_nano, 128));
                Assert.Equal(written, File.ReadAllBytes(file));
            }
        }
        finally
        {
            File.Delete(file);
        }
        Assert.Equal(20, first.Conversations);
        Assert.True(first.Cut is > 0 and < 20);
        Assert.Equal(first.Tokens,
            first.Rows.Sum(r => (long)r.Tokens.Zip(r.Segments).Count(x => x.First != 0 || x.Second != r.Segments[^1])));
    }

    [Fact]
    public void Faults_name_the_file()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.At("bad.jsonl"), "{}");
        Assert.StartsWith(folder.At("bad.jsonl"),
            Assert.Throws<KoalaException>(() => TokenCache.Load(folder.At("bad.jsonl"), s_nano, 64)).Where);
        Assert.StartsWith(folder.At("absent.jsonl"),
            Assert.Throws<KoalaException>(() => TokenCache.Load(folder.At("absent.jsonl"), s_nano, 64)).Where);
    }

    private static void Equal(PackedConversations a, PackedConversations b)
    {
        Assert.Equal((a.Hash, a.Conversations, a.Tokens, a.Cut, a.Rows.Count),
            (b.Hash, b.Conversations, b.Tokens, b.Cut, b.Rows.Count));
        foreach (var (x, y) in a.Rows.Zip(b.Rows))
        {
            Assert.Equal(x.Tokens, y.Tokens);
            Assert.Equal(x.Positions, y.Positions);
            Assert.Equal(x.Segments, y.Segments);
            Assert.Equal(x.LossMask, y.LossMask);
        }
    }
}
