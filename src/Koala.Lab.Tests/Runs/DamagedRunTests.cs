using System.Text;
using System.Text.Json;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Regeneration;
using Koala.Lab.Runs;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Tests.Training;
using Koala.Lab.Training;

namespace Koala.Lab.Tests.Runs;

/// <summary>Files that runs leave behind and read again: damaged at random, each is read or refused in one line.</summary>
public sealed class DamagedRunTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact, Trait(PromptSample.Category, PromptSample.Sampled)]
    public void A_damaged_record_is_read_or_refused()
    {
        var options = JsonSerializer.SerializeToNode(TinyRun.Plan, JsonFormat.Document)!;
        var record = RunRecord.Begin(TrainingRun.Kind, ["train"], options,
            new Dictionary<string, long> { ["training"] = 5 }, "cpu", "fp32");
        var folder = RunFolder.Create(_folder.At("run"));
        folder.WriteRecord(record.End(RunState.Interrupted));
        Mutations.Try(File.ReadAllBytes(folder.RecordFile), 20_261_204, bytes =>
        {
            Mutations.Write(folder.RecordFile, bytes);
            TrainingRun.PlanOf(folder);
        });
    }

    [Fact, Trait(PromptSample.Category, PromptSample.Sampled)]
    public void Damaged_metrics_are_read_or_refused()
    {
        const string Lines = """
            {"step":1,"loss":2.5,"validationAccuracyAtDepth1":null}
            {"step":2,"loss":1e-3,"name":0.5}
            {"step":3,"loss":1}

            """;
        Mutations.Try(Encoding.UTF8.GetBytes(Lines), 20_261_205, bytes =>
            MetricsLog.Read(Mutations.Write(_folder.At("metrics.jsonl"), bytes)));
    }

    [Fact, Trait(PromptSample.Category, PromptSample.Sampled)]
    public void A_damaged_manifest_makes_a_state_incomplete_and_nothing_else()
    {
        var store = new CheckpointStore(_folder.Path);
        var saved = store.Save(3, folder => File.WriteAllText(Path.Combine(folder, "state"), "a state"));
        var manifest = Path.Combine(saved.Folder, CheckpointManifest.FileName);
        Mutations.Try(File.ReadAllBytes(manifest), 20_261_206, bytes =>
        {
            Mutations.Write(manifest, bytes);
            if (CheckpointManifest.Fault(saved.Folder, 3, hashes: true) is { } fault)
                throw new KoalaException("state", fault, "restore it");
        });
    }

    [Fact, Trait(PromptSample.Category, PromptSample.Sampled)]
    public void A_damaged_tree_is_read_or_refused() => Mutations.Try(
        "[[0],[1],[0,0],[0,1],[2],[0,0,0]]"u8.ToArray(), 20_261_207, bytes =>
            StaticTree.Find(Mutations.Write(_folder.At("tree.json"), bytes)));

    [Fact, Trait(PromptSample.Category, PromptSample.Sampled)]
    public void A_damaged_log_of_answers_is_read_or_refused()
    {
        var record = new RegenerationRecord("t", "k", "fp32", "p", new string('0', 64), null, null, 8, 0, 0, 1, 5);
        var path = _folder.At("chats.jsonl.part");
        using (var log = AnswerLog.Create(path, record))
            log.Append([new RegeneratedAnswer(0, 0, 3, true, "abc"), new RegeneratedAnswer(1, 0, 3, false, "é")]);
        Mutations.Try(File.ReadAllBytes(path), 20_261_208, bytes =>
        {
            Mutations.Write(path, bytes);
            AnswerLog.Resume(path, record, out _).Dispose();
        });
    }
}
