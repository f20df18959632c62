using System.Text.Json;

namespace Koala.Lab.Tests.Checkpoints;

/// <summary>The files in data/ match their description in data/README.md.</summary>
public sealed class ShippedDataTests
{
    private static readonly Lazy<JsonElement[]> s_train = new(() => Lines("chats-train.jsonl.gz"));
    private static readonly Lazy<JsonElement[]> s_validation = new(() => Lines("chats-validation.jsonl.gz"));
    private static readonly string s_readme = File.ReadAllText(TestFiles.At("data", "README.md"));

    private static IEnumerable<JsonElement> Chats => s_train.Value.Concat(s_validation.Value);

    [Theory]
    [InlineData("chats-train.jsonl.gz", "14,300")]
    [InlineData("chats-validation.jsonl.gz", "796")]
    [InlineData("mt-bench.jsonl", "80")]
    [InlineData("gsm8k.jsonl.gz", "1,319")]
    [InlineData("humaneval.jsonl.gz", "164")]
    [InlineData("spec-bench.jsonl.gz", "320")]
    public void Every_line_parses_and_the_readme_counts_them(string file, string records)
    {
        Assert.Equal(records, $"{Lines(file).Length:N0}");
        Assert.Contains($"| `{file}` | {records} |", s_readme);
    }

    [Fact]
    public void The_readme_lists_every_file() =>
        Assert.All(Directory.EnumerateFiles(TestFiles.At("data")).Select(Path.GetFileName).Where(f => f != "README.md"),
        file => Assert.Contains($"| `{file}` |", s_readme));

    [Theory]
    [InlineData("chats-train.jsonl.gz", 4_000_000)]
    [InlineData("chats-validation.jsonl.gz", 500_000)]
    public void The_chats_stay_under_their_sizes(string file, long most) =>
        Assert.InRange(new FileInfo(TestFiles.At("data", file)).Length, 1, most);

    [Fact]
    public void Validation_ids_are_those_from_p_00_to_p_03_and_none_is_in_training()
    {
        static bool HeldOut(JsonElement chat) => string.CompareOrdinal(Text(chat, "id")[..4], "p-03") <= 0;
        Assert.All(s_validation.Value, chat => Assert.True(HeldOut(chat)));
        Assert.All(s_train.Value, chat => Assert.False(HeldOut(chat)));
        Assert.Distinct(Chats.Select(chat => Text(chat, "id")));
    }

    [Fact]
    public void Every_chat_is_a_question_and_an_answer() => Assert.All(Chats, chat =>
    {
        Assert.Matches("^p-[0-9a-f]{12}$", Text(chat, "id"));
        Assert.NotEmpty(Text(chat, "source"));
        var messages = chat.GetProperty("messages").EnumerateArray().ToArray();
        Assert.Equal(["user", "assistant"], messages.Select(m => Text(m, "role")));
        Assert.All(messages, m => Assert.NotEmpty(Text(m, "content")));
        Assert.True(chat.GetProperty("done").ValueKind is JsonValueKind.True or JsonValueKind.False);
    });

    [Fact]
    public void Categories_keep_their_proportions()
    {
        var (train, validation) = (Shares(s_train.Value), Shares(s_validation.Value));
        Assert.Equal(train.Keys.Order(), validation.Keys.Order());
        // The validation set is a sample by hash of all chats, so its share may differ from the true one by chance:
        // four standard errors are allowed.
        foreach (var (category, share) in train)
            Assert.InRange(Math.Abs(validation[category] - share), 0,
                4 * Math.Sqrt(share * (1 - share) / s_validation.Value.Length));
    }

    [Fact]
    public void The_readme_counts_every_category_of_training() =>
        Assert.All(s_train.Value.CountBy(chat => Text(chat, "category")),
            c => Assert.Contains($"{c.Key} {c.Value:N0}", s_readme));

    [Fact]
    public void The_readme_counts_every_licence()
    {
        var train = s_train.Value.CountBy(chat => Text(chat, "licence")).ToDictionary();
        var validation = s_validation.Value.CountBy(chat => Text(chat, "licence")).ToDictionary();
        Assert.All(train.Keys.Union(validation.Keys), licence =>
        {
            Assert.NotEmpty(licence);
            Assert.Contains($"\n| {licence} | {train.GetValueOrDefault(licence):N0} | " +
                $"{validation.GetValueOrDefault(licence):N0} |\n",
                s_readme);
        });
    }

    [Fact]
    public void Spec_bench_has_no_part_whose_texts_are_others()
    {
        var categories = Lines("spec-bench.jsonl.gz").Select(line => Text(line, "category")).ToHashSet();
        Assert.Equal(11, categories.Count);
        Assert.DoesNotContain("summarization", categories);
        Assert.DoesNotContain("rag", categories);
    }

    private static Dictionary<string, double> Shares(JsonElement[] chats) =>
        chats.CountBy(chat => Text(chat, "category")).ToDictionary(c => c.Key, c => (double)c.Value / chats.Length);

    private static string Text(JsonElement element, string key) => element.GetProperty(key).GetString()!;

    private static JsonElement[] Lines(string file)
    {
        var text = file.EndsWith(".gz", StringComparison.Ordinal)
            ? TestFiles.Unpacked("data", file)
            : File.ReadAllText(TestFiles.At("data", file));
        return [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonElement.Parse(line))];
    }
}
