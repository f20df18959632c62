using System.Text.Json;
using Koala.Lab.Decoding;
using Koala.Lab.Heads;
using Koala.Lab.Runs;
using Koala.Lab.Targets;
using Koala.Lab.Training;

namespace Koala.Lab.Tests;

/// <summary>Heads, head folders and run folders that commit 0602512 wrote load today and give the same tokens.</summary>
/// <remarks>
/// golden/commit-0602512 holds two runs of that commit and the answers of its heads; golden/README.md says how they were made.
/// </remarks>
public sealed class EarlierFilesTests : IDisposable
{
    private const int MaxTokens = 48;

    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> ShippedHeads =>
        [.. Directory.GetDirectories(TestFiles.At("checkpoints"), "*-k?").Select(path => Path.GetFileName(path)!).Order()];

    [Theory, MemberData(nameof(ShippedHeads))]
    public void A_shipped_head_answers_as_it_did(string name)
    {
        var target = ShippedModels.Of(name[..name.LastIndexOf('-', name.LastIndexOf('-') - 1)]);
        using var head = DraftHead.Load(ShippedModels.Folder(name), target);
        AssertAnswersOf(name, target, head);
    }

    [Fact]
    public void The_head_of_a_finished_run_answers_as_it_did()
    {
        var run = RunFolder.Open(Restore("finished"));
        Assert.True(TrainingRun.IsDone(run));
        using var head = DraftHead.Load(run.HeadFolder, ShippedModels.Nano);
        AssertAnswersOf("finished", ShippedModels.Nano, head);
    }

    [Fact]
    public void An_interrupted_run_is_resumed_to_its_end()
    {
        var run = RunFolder.Open(Restore("interrupted"));
        Assert.Equal(RunState.Interrupted, run.ReadRecord().State);
        var plan = TrainingRun.PlanToResume(run);
        var data = TrainingData.Load(ShippedModels.Nano, plan.Data, plan.Validation, plan.Training);
        TrainingRun.Resume(run, ShippedModels.Nano, data);
        Assert.Equal(RunState.Finished, run.ReadRecord().State);
        Assert.Equal(plan.Training.Steps, MetricsLog.Read(run.MetricsFile)[^1].Step);
        using var head = DraftHead.Load(run.HeadFolder, ShippedModels.Nano);
        Assert.Equal(1, head.MaxDraftLength);
    }

    public void Dispose() => _folder.Dispose();

    private static void AssertAnswersOf(string name, Target target, DraftHead head)
    {
        var recorded = Recorded[name];
        using var decoder = new SpeculativeDecoder(target, head) { ChooseDraftLength = false };
        var options = new GenerationOptions { MaxTokens = MaxTokens, DraftLength = Math.Min(4, head.MaxDraftLength) };
        var answers = recorded.Select(answer => decoder.Generate(answer.Prompt, options)).ToArray();
        Assert.Equal(recorded.Select(answer => answer.Tokens), answers.Select(answer => answer.Tokens));
        // Greedy tokens are the target's whatever the head proposes. What it proposed shows in how much was accepted; on another processor
        // two of a head's logits can tie.
        var expected = recorded.Sum(answer => answer.Accepted);
        var accepted = answers.SelectMany(answer => answer.Rounds).Sum(round => round.Accepted);
        Assert.InRange(accepted, 0.98 * expected - 1, 1.02 * expected + 1);
    }

    // A copy of a recorded run whose paths are those of this machine.
    private string Restore(string name)
    {
        var (from, to) = (Golden("."), _folder.Path);
        foreach (var file in Directory.GetFiles(from, "*", SearchOption.AllDirectories))
        {
            var copy = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            if (Path.GetExtension(file) == ".gz") File.WriteAllText(Path.ChangeExtension(copy, null), TestFiles.Unpacked(file));
            else File.Copy(file, copy);
        }
        var record = Path.Combine(to, name, "run.json");
        File.WriteAllText(record, File.ReadAllText(record).Replace("REPOSITORY", TestFiles.Root).Replace("FOLDER", to));
        return Path.Combine(to, name);
    }

    private static string Golden(string name) => TestFiles.At("src", "Koala.Lab.Tests", "golden", "commit-0602512", name);

    private static Dictionary<string, RecordedAnswer[]> Recorded { get; } = ReadRecorded();

    private static Dictionary<string, RecordedAnswer[]> ReadRecorded()
    {
        var json = TestFiles.Unpacked(Golden("answers.json.gz"));
        return JsonSerializer.Deserialize<Dictionary<string, RecordedAnswer[]>>(json, JsonSerializerOptions.Web)!;
    }

    private sealed record RecordedAnswer(int[] Prompt, int[] Tokens, int Accepted);
}
