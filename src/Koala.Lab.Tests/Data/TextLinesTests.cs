using System.IO.Compression;
using System.Text;
using Koala.Lab.Data;

namespace Koala.Lab.Tests.Data;

/// <summary>Damaged and hostile files of lines: each is read completely or refused in one line, in bounded memory.</summary>
public sealed class TextLinesTests : IDisposable
{
    private const int MiB = 1 << 20;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Members_that_follow_one_another_and_zeros_after_them_are_read()
    {
        var (one, two) = (Gzip("""{"prompt":"a"}""" + "\n"), Gzip("""{"prompt":"b"}"""));
        foreach (var file in (byte[][])[[.. one, .. two], [.. one, .. two, .. new byte[700]], [.. Gzip(""), .. one, .. two]])
            Assert.Equal(["a", "b"], Load("p.jsonl.gz", file).Select(p => p.Turns[0]));
    }

    [Fact]
    public void A_gzip_file_that_is_cut_anywhere_is_refused_with_the_line()
    {
        byte[] whole = [.. Gzip(Lines(0, 60)), .. Gzip(Lines(60, 120))];
        var first = Gzip(Lines(0, 60)).Length;
        for (var length = 1; length < whole.Length; length++)
        {
            // A file that ends with its first member is complete.
            if (length == first) continue;
            var fault = Assert.Throws<KoalaException>(() => Load("p.jsonl.gz", whole[..length]));
            Assert.StartsWith(_folder.At("p.jsonl.gz"), fault.Where);
            Assert.DoesNotContain('\n', fault.Message);
            if (length < 2) continue;
            Assert.Contains("damaged or cut off", fault.Fault);
            Assert.Equal("get the file again", fault.Fix);
            Assert.Matches(@"\.gz:\d+$", fault.Where);
        }
        Assert.Equal(120, Load("p.jsonl.gz", whole).Count);
    }

    [Theory, InlineData(0), InlineData(1), InlineData(2), InlineData(3)]
    public void A_member_whose_first_bytes_are_damaged_is_not_left_out(int at)
    {
        var (one, two) = (Gzip(Lines(0, 300)), Gzip(Lines(300, 600)));
        two[at] ^= 0xff;
        var fault = Assert.Throws<KoalaException>(() => Load("p.jsonl.gz", [.. one, .. two]));
        Assert.Contains("damaged or cut off", fault.Fault);
    }

    [Fact]
    public void The_checksum_and_the_length_at_the_end_are_checked()
    {
        foreach (var fromEnd in (int[])[1, 4, 5, 8])
        {
            var file = Gzip(Lines(0, 300));
            file[^fromEnd] ^= 1;
            Assert.Contains("damaged or cut off", Assert.Throws<KoalaException>(() => Load("p.jsonl.gz", file)).Fault);
        }
    }

    [Fact, Trait(PromptSample.Category, PromptSample.Sampled)]
    public void Damaged_prompts_and_chats_are_read_or_refused()
    {
        var prompts = Encoding.UTF8.GetBytes(
            """{"question_id":1,"category":"a","turns":["b","é"]}""" + "\n" + """{"id":"x","prompt":"Hi"}""" + "\n"
            + """{"messages":[{"role":"user","content":"\u00e9"}]}""" + "\n");
        var chats = Encoding.UTF8.GetBytes(
            """{"id":"a","source":"s","messages":[{"role":"user","content":"b"},{"role":"assistant","content":"c"}],"done":true}""");
        Mutations.Try(prompts, 20_261_201, bytes => Prompts.Load(Write("p.jsonl", bytes)));
        Mutations.Try(chats, 20_261_202, bytes => Conversations.Load(Write("c.jsonl", bytes)));
    }

    [Fact, Trait(PromptSample.Category, PromptSample.Sampled)]
    public void Damaged_gzip_files_are_read_or_refused()
    {
        byte[] file = [.. Gzip("""{"prompt":"a"}""" + "\n"), .. Gzip("""{"prompt":"b, which is longer, b, which is longer"}""")];
        Mutations.Try(file, 20_261_203, bytes => Prompts.Load(Write("p.jsonl.gz", bytes)));
    }

    [Theory, InlineData("p.jsonl"), InlineData("p.jsonl.gz")]
    public void A_line_without_an_end_is_refused_in_bounded_memory(string name)
    {
        using (var file = File.Create(_folder.At(name)))
        using (Stream stream = name.EndsWith(".gz", StringComparison.Ordinal) ? new GZipStream(file, CompressionLevel.Fastest) : file)
        {
            stream.Write("""{"prompt":"a"}"""u8);
            stream.WriteByte((byte)'\n');
            for (var i = 0; i < 64; i++) stream.Write(new byte[MiB].AsSpan());
        }
        var before = GC.GetAllocatedBytesForCurrentThread();
        var fault = Assert.Throws<KoalaException>(() => Prompts.Load(_folder.At(name)));
        Assert.Equal(($"{_folder.At(name)}:2", "is longer than 4 MiB, the most that a line can have"), (fault.Where, fault.Fault));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 24 * MiB);
    }

    [Fact]
    public void A_line_of_the_largest_length_is_read()
    {
        var text = $$"""{"prompt":"{{new string('x', TextLines.LongestLine - 20)}}"}""";
        Assert.Equal(TextLines.LongestLine - 20, Assert.Single(Load("p.jsonl", Encoding.UTF8.GetBytes(text))).Turns[0].Length);
    }

    [Fact]
    public void A_longer_line_is_refused_however_its_bytes_arrive()
    {
        var text = $$"""{"prompt":"a"}{{'\n'}}{"prompt":"{{new string('x', TextLines.LongestLine + MiB)}}"}{{'\n'}}""";
        foreach (var name in (string[])["p.jsonl", "p.jsonl.gz"])
        {
            var bytes = Encoding.UTF8.GetBytes(text);
            var path = name.EndsWith(".gz", StringComparison.Ordinal) ? Write(name, Gzip(text)) : Write(name, bytes);
            var fault = Assert.Throws<KoalaException>(() => Prompts.Load(path)).Fault;
            Assert.Contains("is longer than 4 MiB", fault, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_limit_ends_reading()
    {
        // Whatever follows the rows that are needed is not even looked at.
        var path = Write("p.jsonl", [.. "{\"prompt\":\"a\"}\n{\"prompt\":\"b\"}\n"u8, .. "no JSON"u8]);
        Assert.Equal(["a", "b"], Prompts.Load(path, 2).Select(p => p.Turns[0]));
        Assert.Equal(2, ChatRequest.Load(path, 2).Count);
        Assert.Throws<KoalaException>(() => Prompts.Load(path, 3));
    }

    [Fact]
    public void A_limit_ends_reading_once_every_category_was_seen()
    {
        static string Row(string category, int i) => $$"""{"prompt":"{{i}}","category":"{{category}}"}""";
        var path = Write("p.jsonl", Encoding.UTF8.GetBytes($"{Row("a", 1)}\n{Row("a", 2)}\n{Row("b", 3)}\nno JSON"));
        Assert.Equal(["1"], Prompts.Load(path, 1, ["a"]).Select(p => p.Turns[0]));
        Assert.Equal(["1"], Prompts.Load(path, 1, ["a", "b"]).Select(p => p.Turns[0]));
        Assert.Throws<KoalaException>(() => Prompts.Load(path, 1, ["a", "c"]));
    }

    [Fact]
    public void A_file_that_unpacks_to_far_more_than_text_does_is_refused()
    {
        using (var gzip = new GZipStream(File.Create(_folder.At("p.jsonl.gz")), CompressionLevel.SmallestSize))
            for (var i = 0; i < 20; i++) gzip.Write(Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("{}\n", MiB / 3))));
        Assert.Contains("32 times its size", Assert.Throws<KoalaException>(() => Drain(_folder.At("p.jsonl.gz"))).Fault);
    }

    [Fact]
    public void It_is_refused_in_bounded_memory_however_long_it_is()
    {
        // A row of a few bytes is an object of a few hundred, and a chat that cannot be used is an exception.
        var text = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("{\"text\":\"\"}\n", MiB / 12)));
        using (var gzip = new GZipStream(File.Create(_folder.At("p.jsonl.gz")), CompressionLevel.SmallestSize))
            for (var i = 0; i < 160; i++) gzip.Write(text);
        var rows = 0;
        var fault = Assert.Throws<KoalaException>(() =>
        {
            foreach (var _ in JsonLines.Read(_folder.At("p.jsonl.gz"))) rows++;
        });
        Assert.Contains("32 times its size", fault.Fault, StringComparison.Ordinal);
        Assert.InRange(rows, 1, 10 * MiB / 12);
    }

    [Fact]
    public void A_file_whose_name_or_coding_is_wrong_is_told_so()
    {
        void Told(string name, byte[] bytes, string fault)
        {
            var e = Assert.Throws<KoalaException>(() => Load(name, bytes));
            Assert.Equal((_folder.At(name), fault), (e.Where, e.Fault));
        }
        Told("p.jsonl", Gzip("""{"prompt":"a"}"""), "is gzip, but its name does not end in .gz");
        Told("p.jsonl.gz", "{\"prompt\":\"a\"}"u8.ToArray(), "is not gzip, though its name ends in .gz");
        Told("p.jsonl.gz", [], "is empty");
        Assert.Equal("a", Assert.Single(Load("p.jsonl", [0xef, 0xbb, 0xbf, .. "{\"prompt\":\"a\"}\r\n"u8])).Turns[0]);
        var latin1 = Assert.Throws<KoalaException>(() => Load("p.jsonl", [.. "{\"prompt\":\"a\"}\n{\"prompt\":\""u8, 0xe9, .. "\"}"u8]));
        Assert.Equal((_folder.At("p.jsonl") + ":2", "is not valid UTF-8"), (latin1.Where, latin1.Fault));
    }

    [Theory, InlineData(false), InlineData(true)]
    public void UTF_16_with_a_byte_order_mark_is_read_with_the_same_limits(bool bigEndian)
    {
        var encoding = new UnicodeEncoding(bigEndian, byteOrderMark: true);
        byte[] Bytes(string text) => [.. encoding.GetPreamble(), .. encoding.GetBytes(text)];
        var text = "{\"prompt\":\"aé\"}\r\n\n{\"prompt\":\"😀\"}";
        Assert.Equal(["aé", "😀"], Load("p.jsonl", Bytes(text)).Select(p => p.Turns[0]));

        // U+0A0A: its bytes are those of line feeds in UTF-8.
        Assert.Equal("ਊਊ", Assert.Single(Load("p.jsonl", Bytes("{\"prompt\":\"ਊਊ\"}"))).Turns[0]);

        var longest = new string('x', TextLines.LongestLine - 20);
        Assert.Equal(longest, Assert.Single(Load("p.jsonl", Bytes($$"""{"prompt":"{{longest}}"}"""))).Turns[0]);
        var tooLong = Assert.Throws<KoalaException>(() => Load("p.jsonl", Bytes($$"""{"prompt":"{{longest + longest}}"}""")));
        Assert.Equal((_folder.At("p.jsonl") + ":1", "is longer than 4 MiB, the most that a line can have"), (tooLong.Where, tooLong.Fault));

        // Half a surrogate pair, and half a unit at the end.
        foreach (var bytes in (byte[][])[[.. Bytes("{\"prompt\":\""), .. encoding.GetBytes("😀")[..2], .. encoding.GetBytes("\"}")],
            Bytes("{}")[..^1]])
        {
            var fault = Assert.Throws<KoalaException>(() => Load("p.jsonl", bytes));
            Assert.Equal((_folder.At("p.jsonl") + ":1", "is not valid UTF-16, at this line or after it"), (fault.Where, fault.Fault));
        }
    }

    private static void Drain(string path)
    {
        using var lines = new TextLines(path);
        while (lines.Next() is not null) ;
    }

    private static string Lines(int from, int to) =>
        string.Concat(Enumerable.Range(from, to - from).Select(i => $$"""{"prompt":"{{i * 7919 % 10007}}"}""" + "\n"));

    private IReadOnlyList<Prompt> Load(string name, byte[] bytes) => Prompts.Load(Write(name, bytes));

    private string Write(string name, byte[] bytes) => Mutations.Write(_folder.At(name), bytes);

    private static byte[] Gzip(string text)
    {
        using var memory = new MemoryStream();
        using (var gzip = new GZipStream(memory, CompressionLevel.SmallestSize)) gzip.Write(Encoding.UTF8.GetBytes(text));
        return memory.ToArray();
    }
}
