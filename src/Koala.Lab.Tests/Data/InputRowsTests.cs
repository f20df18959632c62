using System.IO.Compression;
using System.Text;
using Koala.Lab.Data;
using Koala.Lab.Text.Tokenizers;
using Parquet.Schema;
using Parquet.Serialization;

namespace Koala.Lab.Tests.Data;

/// <summary>Chats as people have them: ShareGPT, JSON arrays, Parquet, folders of data sets.</summary>
public sealed class InputRowsTests : IDisposable
{
    private const string ShareGpt =
        """{"id": "a", "conversations": [{"from": "system", "value": "Be short."}, {"from": "human", "value": "Hi"}, """ +
        """{"from": "gpt", "value": "Hello."}]}""";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("\n", false)]
    [InlineData("\r\n", false)]
    [InlineData("\r\n", true)]
    public void Share_gpt_in_lines_is_read_with_its_roles(string lineEnd, bool byteOrderMark)
    {
        var text = (byteOrderMark ? "\ufeff" : "") + ShareGpt.Trim() + lineEnd + lineEnd + ShareGpt.Trim() + lineEnd;
        File.WriteAllText(_folder.At("c.jsonl"), text);
        var chats = Conversations.Load(_folder.At("c.jsonl"));
        Assert.Equal([1, 3], chats.Select(chat => chat.Line));
        Assert.Equal("system: Be short.|user: Hi|assistant: Hello.", Text(chats[0]));
        Assert.Equal(["Hi"], Prompts.Load(Write("p.jsonl", """
            {"conversations": [{"from": "human", "value": "Hi"}]}
            """))[0].Turns);
        Assert.Equal(["system", "user"], ChatRequest.Load(_folder.At("c.jsonl"), 1)[0].Messages.Select(message => message.Role));
    }

    [Theory]
    [InlineData("gpt:lost question|human:a|gpt:b", "user: a|assistant: b")]
    [InlineData("human:a|gpt:b|human:c|gpt:", "user: a|assistant: b|user: c")]
    [InlineData("human:a|bard:b|user:c|assistant:d", "user: a|assistant: b|user: c|assistant: d")]
    [InlineData("human:a|gpt:b|observation:c|tool:d", "user: a|assistant: b|tool: c|tool: d")]
    public void Lost_questions_and_empty_turns_are_left_out(string turns, string expected)
    {
        var conversations = turns.Split('|').Select(turn => turn.Split(':')).Select(turn => new { from = turn[0], value = turn[1] });
        var line = System.Text.Json.JsonSerializer.Serialize(new { conversations });
        Assert.Equal(expected, Text(Conversations.Load(Write("c.jsonl", line))[0]));
    }

    [Theory, InlineData(false), InlineData(true)]
    public void A_json_array_is_read_element_by_element(bool gzip)
    {
        var text = "\ufeff [\n" + string.Join(",\n", Enumerable.Range(0, 3000).Select(i => ShareGpt.Replace("\"a\"", $"{i}"))) + "]";
        var path = _folder.At(gzip ? "c.json.gz" : "c.json");
        using (var file = File.Create(path))
        using (var stream = gzip ? new GZipStream(file, CompressionLevel.Fastest) : (Stream)file)
            stream.Write(Encoding.UTF8.GetBytes(text));
        var chats = Conversations.Load(path);
        Assert.Equal((3000, "2999", 3000), (chats.Count, chats[^1].Id, chats[^1].Line));
    }

    [Theory]
    [InlineData("[]", "is an empty array", "c.json")]
    [InlineData("[{\"conversations\": []}, 3]", "is 3, but an object", "element 2")]
    [InlineData("[{\"messages\": [}", "is not valid JSON", "element 1")]
    [InlineData("[{\"a\": 1, \"a\": 2}]", "a key twice", "element 1")]
    [InlineData("[{\"a\": 1}", "is not valid JSON", "c.json")]
    public void A_faulty_array_is_one_error_that_names_the_element(string text, string fault, string where)
    {
        var error = Assert.Throws<KoalaException>(() => Conversations.Load(Write("c.json", text), new UnusableChats()));
        Assert.Contains(fault, error.Fault);
        Assert.Contains(where, error.Where);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Fact]
    public async Task Chat_columns_of_parquet_files_and_the_folder_of_a_data_set_are_read()
    {
        Directory.CreateDirectory(_folder.At("set/data"));
        File.WriteAllText(_folder.At("set/README.md"), "# A data set");
        for (var part = 0; part < 2; part++) await WriteParquet(_folder.At($"set/data/train-0000{part}-of-00002.parquet"), part);
        await WriteParquet(_folder.At("set/data/test-00000-of-00001.parquet"), 9);
        var chats = Conversations.Load(_folder.At("set"));
        Assert.Equal(["0-0", "0-1", "1-0", "1-1"], chats.Select(chat => chat.Id));
        Assert.Equal("user: Question 1|assistant: Answer 1", Text(chats[1]));
        Assert.NotEqual(DatasetFolder.Sha256(_folder.At("set")), DatasetFolder.Sha256(_folder.At("set/data/train-00000-of-00002.parquet")));
        Assert.Contains("without data", Assert.Throws<KoalaException>(() => Conversations.Load(_folder.Path)).Fault);
        var bytes = File.ReadAllBytes(_folder.At("set/data/train-00000-of-00002.parquet"));
        foreach (var length in (int[])[5, bytes.Length / 2, bytes.Length - 3])
        {
            File.WriteAllBytes(_folder.At("cut.parquet"), bytes[..length]);
            Assert.Contains("Parquet", Assert.Throws<KoalaException>(() => Conversations.Load(_folder.At("cut.parquet"))).Fault);
        }
    }

    [Fact]
    public void A_check_says_what_is_used_and_what_is_skipped_and_why()
    {
        File.WriteAllLines(_folder.At("c.jsonl"),
        [
            ShareGpt.Trim(), """{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes."}]}""",
            """{"messages": []}""", """{"messages": [{"role": "user", "content": "Hi"}]}""", """{"messages": []}""",
        ]);
        var check = DataCheck.Run(_folder.At("c.jsonl"), Tokenizer.Load(ShippedModels.Folder("koala-nano")),
            TestContext.Current.CancellationToken);
        Assert.Equal((5, 2, 3), (check.Rows, check.Used, check.Skipped));
        Assert.Equal([2, 1], check.Reasons.Select(reason => reason.Rows));
        Assert.Equal("is empty", check.Reasons[0].Reason);
        Assert.StartsWith("has no answer", check.Reasons[1].Reason);
        Assert.Equal([$"{_folder.At("c.jsonl")}:3: messages", $"{_folder.At("c.jsonl")}:5: messages"], check.Reasons[0].First);
        Assert.Equal((1, 2, 2), (check.Messages["system"], check.Messages["user"], check.Messages["assistant"]));
        Assert.True(check.Tokens!.Learned > 4 && check.Tokens.Learned < check.Tokens.Total);
        Assert.Null(DataCheck.Run(_folder.At("c.jsonl"), cancel: TestContext.Current.CancellationToken).Tokens);
    }

    private string Write(string name, string text)
    {
        File.WriteAllText(_folder.At(name), text);
        return _folder.At(name);
    }

    private static string Text(Koala.Lab.Text.Chat.Conversation chat) =>
        string.Join('|', chat.Messages.Select(message => $"{message.Role}: {message.Content}"));

    private static async Task WriteParquet(string path, int part)
    {
        var schema = new ParquetSchema(new DataField<string>("id"), new ListField("messages", new StructField("element",
            new DataField<string>("content"), new DataField<string>("role"))));
        static Dictionary<string, object> Turn(string role, string content) => new() { ["content"] = content, ["role"] = role };
        var rows = Enumerable.Range(0, 2).Select(i => (IDictionary<string, object?>)new Dictionary<string, object?>
        {
            ["id"] = $"{part}-{i}",
            ["messages"] = new List<Dictionary<string, object>> { Turn("user", $"Question {i}"), Turn("assistant", $"Answer {i}") },
        }).ToList();
        await using var file = File.Create(path);
        await ParquetSerializer.SerializeUntypedAsync(rows, schema, file);
    }
}
