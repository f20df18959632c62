using System.Text;
using System.Text.Json.Nodes;
using Koala.Lab.Data;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Targets;

namespace Koala.Lab.Tests;

/// <summary>
/// Files that may be damaged are read or refused in one line. Configs and tokenizers are tried in <see cref="MutationTests"/>, prompts and
/// chats in <see cref="Data.TextLinesTests"/>, the files of runs in <see cref="Runs.DamagedRunTests"/>.
/// </summary>
public sealed class ReaderMutationTests : IDisposable
{
    private const int Seed = 20_261_128;

    private const string PromptLines = """
        {"question_id": 81, "category": "writing", "turns": ["Why?", "And at night? \ud83c\udf19"], "reference": [null, 1.5e3]}
        {"task_id": "HumanEval/0", "prompt": "def add(a, b):\n", "entry_point": "add", "test": "assert add(1, 2) == 3"}
        {"id": "g1", "question": "How many legs do three koalas have?", "answer": "12"}

        {"history": [{"user": "Hello", "bot": "Hi"}, {"user": "Which day is it?", "bot": "Monday"}]}
        {"id": 7, "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]}
        {"text": "Write a function that adds two numbers."}
        """;

    private const string ChatLines = """
        {"id": "c1", "source": "own", "category": "qa", "messages": [{"role": "user", "content": "Why?"}], "done": true}
        {"messages": [{"role": "user", "content": "A\u00e9\n?"}, {"role": "assistant", "content": "B."}], "done": false}

        {"id": "c3", "messages": [{"role": "user", "content": ""}, {"role": "assistant", "content": "{\"a\": [1, 2]}"}]}
        """;

    private const string ShareGptArray = """
        [{"id": "a", "conversations": [{"from": "system", "value": "Be short."}, {"from": "human", "value": "A\u00e9?"},
        {"from": "gpt", "value": "Hello. \ud83c\udf19"}, {"from": "human", "value": ""}, {"from": "tool", "value": "{\"a\": 1}"}]},
        {"messages": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}], "done": true}]
        """;

    private readonly TemporaryFolder _folder = new();

    [Fact, Trait(PromptSample.Category, PromptSample.Sampled)]
    public void Damaged_requests_are_read_or_refused() =>
        TryFile("requests.jsonl", Utf8(ChatLines + "\n" + PromptLines), path => ChatRequest.Load(path, limit: 5));

    [Fact, Trait(PromptSample.Category, PromptSample.Sampled)]
    public void A_damaged_array_of_chats_is_read_or_refused() =>
        TryFile("chats.json", Utf8(ShareGptArray), path => Conversations.Load(path, new UnusableChats()));

    [Fact, Trait(PromptSample.Category, PromptSample.Sampled)]
    public void A_damaged_head_config_is_read_or_refused()
    {
        HeadFolder.WriteConfig(_folder.Path,
            new EagleOptions { Layers = 2, DraftVocabulary = 64 }, new TargetIdentity("koala-nano", 64, 512, new string('a', 32)), "card");
        TryFile("config.json", File.ReadAllBytes(_folder.At("config.json")), path =>
        {
            HeadFolder.IsHead(_folder.Path);
            HeadFolder.ReadConfig(_folder.Path);
        });
    }

    [Fact, Trait(PromptSample.Category, PromptSample.Sampled)]
    public void A_damaged_index_of_shards_is_read_or_refused()
    {
        foreach (var file in (string[])["config.json", "tokenizer.json"])
            File.Copy(Path.Combine(ShippedModels.Folder("koala-nano"), file), _folder.At(file));
        File.Copy(Path.Combine(ShippedModels.Folder("koala-nano"), "model.safetensors"), _folder.At("model-00001-of-00001.safetensors"));
        var map = new JsonObject();
        using (var file = Lab.Checkpoints.Safetensors.SafetensorsFile.Open(_folder.At("model-00001-of-00001.safetensors")))
            foreach (var name in file.Tensors.Keys) map[name] = "model-00001-of-00001.safetensors";
        var index = new JsonObject
        {
            // Damage to a note changes nothing.
            ["metadata"] = new JsonObject { ["total_size"] = 439_288, ["note"] = new string('n', 100) },
            ["weight_map"] = map,
        };
        TryFile("model.safetensors.index.json", Utf8(index.ToJsonString()), path =>
        {
            using var _ = Lab.Checkpoints.ShardedWeights.Open(path);
        });
    }

    public void Dispose() => _folder.Dispose();

    private static byte[] Utf8(string text) => Encoding.UTF8.GetBytes(text);

    private void TryFile(string name, byte[] valid, Action<string> read) =>
        Mutations.Try(valid, Seed, bytes => read(Mutations.Write(_folder.At(name), bytes)));
}
