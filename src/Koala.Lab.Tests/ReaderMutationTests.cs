using System.IO.Compression;
using System.Text;
using System.Text.Json.Nodes;
using Koala.Lab.Data;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Runs;
using Koala.Lab.Targets;
using Koala.Lab.Tests.Runs;

namespace Koala.Lab.Tests;

/// <summary>
/// Every file that Koala reads may be damaged: it is read or refused in one line. Model files are tried in <see cref="MutationTests"/>.
/// </summary>
public sealed class ReaderMutationTests : IDisposable
{
    private const int Seed = 20_261_128;

    private const string PromptLines = """
        {"question_id": 81, "category": "writing", "turns": ["Why is the sky blue?", "And at night? \ud83c\udf19"], "reference": [null, 1.5e3]}
        {"task_id": "HumanEval/0", "prompt": "def add(a, b):\n", "entry_point": "add", "test": "assert add(1, 2) == 3"}
        {"id": "g1", "question": "How many legs do three koalas have?", "answer": "12"}

        {"history": [{"user": "Hello", "bot": "Hi"}, {"user": "Which day is it?", "bot": "Monday"}]}
        {"id": 7, "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]}
        {"text": "Write a function that adds two numbers."}
        """;

    private const string ChatLines = """
        {"id": "c1", "source": "own", "licence": "CC0-1.0", "category": "qa", "messages": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Because."}], "done": true}
        {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "A\u00e9\n?"}, {"role": "assistant", "content": "B."}, {"role": "user", "content": "C?"}, {"role": "assistant", "content": "D"}], "done": false}

        {"id": "c3", "messages": [{"role": "user", "content": ""}, {"role": "assistant", "content": "{\"a\": [1, 2]}"}]}
        """;

    private const string TreeFile = "[\n[0],[1],[2],[0,0],[0,1],\n[1,0],[0,0,0],[0,0,1],[0,0,0,0]\n]\n";

    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void Damaged_prompts_are_read_or_refused() => TryFile("prompts.jsonl", Utf8(PromptLines), path => Prompts.Load(path));

    [Fact]
    public void Damaged_packed_prompts_are_read_or_refused() =>
        TryFile("prompts.jsonl.gz", Gzip(PromptLines), path => Prompts.Load(path));

    [Fact]
    public void Damaged_chats_are_read_or_refused() => TryFile("chats.jsonl", Utf8(ChatLines), path => Conversations.Load(path));

    [Fact]
    public void Damaged_packed_chats_are_read_or_refused() =>
        TryFile("chats.jsonl.gz", Gzip(ChatLines), path => Conversations.Load(path));

    [Fact]
    public void Damaged_requests_are_read_or_refused() =>
        TryFile("requests.jsonl", Utf8(ChatLines + "\n" + PromptLines), path => ChatRequest.Load(path, limit: 5));

    [Fact]
    public void A_damaged_tree_is_read_or_refused() => TryFile("tree.json", Utf8(TreeFile), path => StaticTree.Find(path));

    [Fact]
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

    [Fact]
    public void A_damaged_record_of_a_run_is_read_or_refused()
    {
        var run = SampleRun.Create(_folder.At("run"));
        TryFile(Path.Combine("run", "run.json"), File.ReadAllBytes(run.RecordFile), path => RunFolder.Open(run.Path).ReadRecord());
    }

    [Fact]
    public void A_damaged_log_of_metrics_is_read_or_refused()
    {
        using (var log = MetricsLog.Create(_folder.At("metrics.jsonl")))
            for (var step = 0; step < 6; step++)
                log.Append(step, [new("loss", 4.0 / (step + 1)), new("gradientNorm", double.NaN), new("seconds", 0.01 * step)]);
        TryFile("metrics.jsonl", File.ReadAllBytes(_folder.At("metrics.jsonl")), path => MetricsLog.Read(path));
    }

    [Fact]
    public void A_damaged_manifest_of_a_checkpoint_is_read_or_refused()
    {
        var checkpoint = Directory.CreateDirectory(_folder.At("step-3")).FullName;
        File.WriteAllText(Path.Combine(checkpoint, "state.json"), "{}");
        CheckpointManifest.Write(checkpoint, 3, _ => { });
        TryFile(Path.Combine("step-3", "manifest.json"), File.ReadAllBytes(Path.Combine(checkpoint, "manifest.json")), _ =>
        {
            // A manifest that is refused is no exception but a reason, which the reader of checkpoints tells.
            if (CheckpointManifest.Fault(checkpoint, 3, hashes: true) is { } fault) throw new KoalaException(checkpoint, fault, "restore it");
        });
    }

    [Fact]
    public void A_damaged_index_of_shards_is_read_or_refused()
    {
        foreach (var file in (string[])["config.json", "tokenizer.json"])
            File.Copy(Path.Combine(ShippedModels.Folder("koala-nano"), file), _folder.At(file));
        File.Copy(Path.Combine(ShippedModels.Folder("koala-nano"), "model.safetensors"), _folder.At("model-00001-of-00001.safetensors"));
        var map = new JsonObject();
        using (var file = Lab.Checkpoints.Safetensors.SafetensorsFile.Open(_folder.At("model-00001-of-00001.safetensors")))
            foreach (var name in file.Tensors.Keys) map[name] = "model-00001-of-00001.safetensors";
        var index = new JsonObject { ["metadata"] = new JsonObject { ["total_size"] = 439_288 }, ["weight_map"] = map };
        TryFile("model.safetensors.index.json", Utf8(index.ToJsonString()), path =>
        {
            using var _ = Lab.Checkpoints.Safetensors.ShardedSafetensors.Open(path);
        });
    }

    public void Dispose() => _folder.Dispose();

    private static byte[] Utf8(string text) => Encoding.UTF8.GetBytes(text);

    private static byte[] Gzip(string text)
    {
        using var memory = new MemoryStream();
        using (var gzip = new GZipStream(memory, CompressionLevel.SmallestSize)) gzip.Write(Utf8(text));
        return memory.ToArray();
    }

    // The file is overwritten without being truncated first, because some file systems then write to the disk each time.
    private void TryFile(string name, byte[] valid, Action<string> read) => Mutations.Try(valid, Seed, bytes =>
    {
        using (var stream = new FileStream(_folder.At(name), FileMode.OpenOrCreate, FileAccess.Write))
        {
            stream.SetLength(bytes.Length);
            stream.Write(bytes);
        }
        read(_folder.At(name));
    });
}
