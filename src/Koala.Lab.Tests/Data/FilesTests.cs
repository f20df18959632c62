using System.IO.Compression;
using System.Text;
using Koala.Lab.Data;

namespace Koala.Lab.Tests.Data;

public sealed class FilesTests
{
    [Theory]
    [InlineData("mt-bench.jsonl", 80, "81", "writing", 2)]
    [InlineData("spec-bench.jsonl.gz", 320, "81", "writing", 2)]
    [InlineData("gsm8k.jsonl.gz", 1319, "1", "", 1)]
    [InlineData("humaneval.jsonl.gz", 164, "HumanEval/0", "", 1)]
    public void Shipped_prompts_are_read(string name, int count, string id, string category, int turns)
    {
        var prompts = Prompts.Load(TestFiles.At("data", name));
        Assert.Equal(count, prompts.Count);
        Assert.Equal((id, category, turns), (prompts[0].Id, prompts[0].Category, prompts[0].Turns.Count));
        Assert.All(prompts, p => Assert.All(p.Turns, t => Assert.NotEqual("", t)));
        Assert.Equal(count, prompts.DistinctBy(p => p.Id).Count());
    }

    [Theory]
    [InlineData("chats-train.jsonl.gz", 14300)]
    [InlineData("chats-validation.jsonl.gz", 0)]
    public void Shipped_chats_are_read(string name, int count)
    {
        var chats = Conversations.Load(TestFiles.At("data", name));
        if (count > 0) Assert.Equal(count, chats.Count);
        Assert.All(chats, c => Assert.Equal("assistant", c.Messages[^1].Role));
        Assert.Contains(chats, c => c.Done);
        Assert.Contains(chats, c => !c.Done);
        Assert.All(chats, c => Assert.All([c.Id, c.Source, c.Licence, c.Category], x => Assert.NotEqual("", x)));
    }

    [Theory]
    [InlineData("""{"question_id": 3, "category": "math", "turns": ["a", "b"]}""", "3", "math", "a|b")]
    [InlineData("""{"question": "how many", "answer": "3"}""", "1", "", "how many")]
    [InlineData("""{"text": "Write a function", "code": "x", "task_id": 7}""", "7", "", "Write a function")]
    [InlineData("""{"task": "GR", "id": 1, "history": [{"user": "a", "bot": "x"}, {"user": "b", "bot": "y"}]}""", "1",
        "", "a|b")]
    [InlineData("""{"id": "p", "prompt": "Hi"}""", "p", "", "Hi")]
    [InlineData("""{"task_id": "HumanEval/0", "entry_point": "f", "prompt": "def f():\n"}""", "HumanEval/0", "",
        "Complete this Python function.\n\n```python\ndef f():\n```")]
    [InlineData("""{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}""" +
        """, {"role": "assistant", "content": "x"}, {"role": "user", "content": "b"}]}""",
        "1", "", "a|b")]
    public void Every_form_of_prompt_is_read(string line, string id, string category, string turns)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.At("p.jsonl"), line + "\n");
        var prompt = Assert.Single(Prompts.Load(folder.At("p.jsonl")));
        Assert.Equal((id, category, turns), (prompt.Id, prompt.Category, string.Join('|', prompt.Turns)));
        Assert.Equal(line.Contains("messages"), prompt.Messages is not null);
    }

    [Fact]
    public void Limit_counts_after_the_choice_of_categories()
    {
        var prompts = Prompts.Load(TestFiles.At("data", "mt-bench.jsonl"), 3, ["math", "coding"]);
        Assert.Equal(["math", "math", "math"], prompts.Select(p => p.Category));
        var error = Assert.Throws<KoalaException>(() => Prompts.Load(TestFiles.At("data", "mt-bench.jsonl"), null, ["maths"]));
        Assert.Contains("'maths'", error.Message);
        Assert.Contains("coding, extraction, humanities, math", error.Fix);
        Assert.Throws<KoalaException>(() => Prompts.Load(TestFiles.At("data", "mt-bench.jsonl"), 0));
    }

    [Theory]
    [InlineData("")]
    [InlineData("\n\n")]
    [InlineData("{\"prompt\": \"a\"}\n{\"prompt\": \"b\"", 2)]
    [InlineData("{\"answer\": \"a\"}", 1)]
    [InlineData("{\"prompt\": 3}", 1)]
    [InlineData("{\"prompt\": \"a\", \"id\": []}", 1)]
    [InlineData("{\"prompt\": \"a\", \"prompt\": \"b\"}", 1)]
    [InlineData("{\"prompt\": \"\\ud800\"}", 1)]
    [InlineData("{\"turns\": []}", 1)]
    [InlineData("{\"turns\": [1]}", 1)]
    [InlineData("{\"turns\": \"a\"}", 1)]
    [InlineData("{\"messages\": []}", 1)]
    [InlineData("{\"messages\": [{\"role\": \"user\"}]}", 1)]
    [InlineData("{\"messages\": [{\"role\": \"assistant\", \"content\": \"a\"}]}", 1)]
    [InlineData("{\"history\": [{\"bot\": \"x\"}]}", 1)]
    public void A_faulty_file_of_prompts_is_named_with_its_line(string text, int? line = null)
    {
        using var folder = new TemporaryFolder();
        var path = folder.At("p.jsonl");
        File.WriteAllText(path, text);
        var error = Assert.Throws<KoalaException>(() => Prompts.Load(path));
        Assert.StartsWith(line is null ? $"{path}: " : $"{path}:{line}: ", error.Message);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Theory]
    [InlineData("{\"id\": \"a\", \"messages\": []}")]
    [InlineData("{\"id\": \"a\", \"messages\": [{\"content\": \"x\"}]}")]
    [InlineData("{\"id\": \"a\", \"messages\": [{\"role\": \"user\", \"content\": null}]}")]
    [InlineData("{\"id\": [3], \"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}")]
    [InlineData("{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image_url\", \"text\": \"x\"}]}]}")]
    [InlineData("{\"messages\": [{\"role\": \"assistant\", \"content\": null, \"tool_calls\": []}]}")]
    [InlineData("{\"done\": \"yes\", \"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}")]
    public void A_faulty_conversation_is_named_with_its_line(string text)
    {
        using var folder = new TemporaryFolder();
        var path = folder.At("c.jsonl");
        File.WriteAllText(path, "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}\n" + text);
        Assert.StartsWith($"{path}:2", Assert.Throws<KoalaException>(() => Conversations.Load(path)).Where);
    }

    [Fact]
    public void A_faulty_conversation_of_many_is_left_out_with_its_line_and_a_line_that_is_no_JSON_is_an_error()
    {
        using var folder = new TemporaryFolder();
        const string Good = """{"id": 7, "messages": [{"role": "user", "content": "x"}]}""";
        File.WriteAllLines(folder.At("c.jsonl"), [Good, """{"messages": []}""", Good]);
        var unusable = new UnusableChats();
        Assert.Equal([("7", 1), ("7", 3)], Conversations.Load(folder.At("c.jsonl"), unusable).Select(c => (c.Id, c.Line)));
        Assert.Equal(2, Assert.Single(unusable.First).Line);
        File.WriteAllLines(folder.At("c.jsonl"), [Good, Good[..20]]);
        Assert.Equal($"{folder.At("c.jsonl")}:2",
            Assert.Throws<KoalaException>(() => Conversations.Load(folder.At("c.jsonl"), unusable)).Where);
        File.WriteAllLines(folder.At("c.jsonl"), ["""{"messages": []}"""]);
        var fault = Assert.Throws<KoalaException>(() => Conversations.Load(folder.At("c.jsonl"), new UnusableChats()));
        Assert.StartsWith($"{folder.At("c.jsonl")}:1", fault.Where, StringComparison.Ordinal);
    }

    [Fact]
    public void Of_many_unusable_chats_the_first_are_kept_in_order()
    {
        var unusable = new UnusableChats();
        foreach (var line in (int[])[4, 9, 2, 7, 1, 8]) unusable.Add(new UnusableChat(line, new KoalaException("a", "b", "c")));
        Assert.Equal(6, unusable.Count);
        Assert.Equal([1, 2, 4], unusable.First.Select(chat => chat.Line));
    }

    [Fact]
    public void Parts_of_text_are_joined_in_chats_and_in_prompts()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.At("p.jsonl"),
            """{"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]}""");
        Assert.Equal("ab", Conversations.Load(folder.At("p.jsonl"))[0].Messages[0].Content);
        Assert.Equal("ab", Prompts.Load(folder.At("p.jsonl"))[0].Turns[0]);
        Assert.Equal("ab", ChatRequest.Load(folder.At("p.jsonl"), null)[0].Messages[0].Content);
    }

    [Fact]
    public void Answers_that_are_replaced_need_no_content()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.At("p.jsonl"), """
            {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": null, "tool_calls": []}]}
            """);
        Assert.Equal(["a"], ChatRequest.Load(folder.At("p.jsonl"), null)[0].Messages.Select(m => m.Content));
    }

    [Theory]
    [InlineData("""{"dialog": ["Hi"]}""", "has dialog", "rename dialog to messages")]
    [InlineData("""{"instruction": "Add", "input": "1", "output": "2"}""", "Alpaca", "instruction and input as user, output as assistant")]
    [InlineData("""{"prompt": "Add", "completion": "2"}""", "prompt and completion", "prompt as user, completion as assistant")]
    [InlineData("""{"chosen": [], "rejected": []}""", "preferences", "the chosen one")]
    public void Another_format_of_chats_is_named_with_how_to_convert_it(string text, string found, string fix)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.At("c.jsonl"), text);
        var error = Assert.Throws<KoalaException>(() => Conversations.Load(folder.At("c.jsonl")));
        Assert.StartsWith($"{folder.At("c.jsonl")}:1", error.Where, StringComparison.Ordinal);
        Assert.Contains(found, error.Fault, StringComparison.Ordinal);
        Assert.Contains(fix, error.Fix, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"instruction": "Add", "output": "2"}""", "Alpaca")]
    [InlineData("""{"messages": [{"role": "human", "content": "Hi"}]}""", "(roles: human)")]
    public void Another_format_is_named_where_prompts_are_read(string text, string found)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.At("p.jsonl"), text);
        Assert.Contains(found, Assert.Throws<KoalaException>(() => Prompts.Load(folder.At("p.jsonl"))).Fault, StringComparison.Ordinal);
        Assert.Contains(found,
            Assert.Throws<KoalaException>(() => ChatRequest.Load(folder.At("p.jsonl"), null)).Fault, StringComparison.Ordinal);
    }

    [Fact]
    public void Missing_truncated_and_wrongly_coded_files_are_errors()
    {
        using var folder = new TemporaryFolder();
        using (var gzip = new GZipStream(File.Create(folder.At("whole.jsonl.gz")), CompressionLevel.Fastest))
            gzip.Write(Encoding.UTF8.GetBytes(string.Concat(Enumerable.Range(0, 2000)
                .Select(i => $"{{\"prompt\": \"{i * 7919 % 10007}\"}}\n"))));
        File.WriteAllBytes(folder.At("cut.jsonl.gz"), File.ReadAllBytes(folder.At("whole.jsonl.gz"))[..500]);
        File.WriteAllText(folder.At("plain.jsonl.gz"), "{}");
        File.WriteAllBytes(folder.At("latin1.jsonl"), Encoding.Latin1.GetBytes("{\"prompt\": \"é\"}"));
        Assert.Equal(2000, Prompts.Load(folder.At("whole.jsonl.gz")).Count);
        foreach (var name in (string[])["absent.jsonl", "cut.jsonl.gz", "plain.jsonl.gz", "latin1.jsonl", "."])
            Assert.StartsWith(folder.At(name), Assert.Throws<KoalaException>(() => Prompts.Load(folder.At(name))).Where);
    }
}
