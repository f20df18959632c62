using Koala.Lab.Data;
using Koala.Lab.Evaluation.Acceptance;
using Koala.Lab.Evaluation.Diagnosis;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Tests.Cli;
using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Evaluation;

/// <summary>The diagnosis names the fault of heads that were made wrong on purpose, and none of a good one.</summary>
public sealed class HeadDiagnosisTests
{
    private static readonly IReadOnlyList<Prompt> s_prompts = Prompts.Load(TestFiles.At("data", "mt-bench.jsonl"), 4);

    private static string Good => TestFiles.At("checkpoints", "koala-nano-eagle-k2");

    [Fact]
    public void A_good_head_has_no_fault_and_its_acceptance_is_n_alpha()
    {
        using var head = DraftHead.Load(Good, ShippedModels.Nano);
        var diagnosis = HeadDiagnosis.Measure(ShippedModels.Nano, head, s_prompts);
        Assert.DoesNotContain(diagnosis.Findings, finding => !finding.Contains("the speedup back", StringComparison.Ordinal));
        var (_, answers) = PositionCounts.Measure(ShippedModels.Nano, head, s_prompts, 4);
        Assert.Equal(NAlpha.Measure(ShippedModels.Nano, head, answers).Take(4), diagnosis.TeacherForced.Right);
        Assert.Equal(diagnosis.Times.AcceptanceLength, answers.SelectMany(a => a.Rounds).Average(r => r.Committed), 10);
        Assert.InRange(diagnosis.Times.Speedup, 0, diagnosis.Times.SpeedupIfDraftingWereFree);
        Assert.InRange(diagnosis.Times.Speedup, 0, diagnosis.Times.SpeedupIfAllWereAccepted);
    }

    [Fact]
    public void A_head_that_predicts_the_token_before_is_found()
    {
        // An untrained Medusa head repeats the target's own guess, which is the token before the one that it should predict.
        using var head = DraftHead.Create(new MedusaOptions { Heads = 2, Layers = 2, Tied = true }, ShippedModels.Nano);
        var diagnosis = HeadDiagnosis.Measure(ShippedModels.Nano, head, s_prompts);
        Assert.Equal(1, diagnosis.TeacherForced.Before[0]);
        Assert.Contains(diagnosis.Findings, finding => finding.Contains("the token before the right one", StringComparison.Ordinal));
        Assert.Contains(diagnosis.Findings, finding => finding.Contains("are one block", StringComparison.Ordinal));
    }

    [Fact]
    public void A_head_that_was_trained_on_other_features_is_found()
    {
        using var head = DraftHead.Load(Good, ShippedModels.Nano);
        using (no_grad())
        {
            // It now needs the features without the weights of the final norm.
            using var scope = NewDisposeScope();
            var feature = head.Parameters["fc"].narrow(1, 64, 64);
            feature.mul_(ShippedModels.Nano.Model.FinalNorm);
        }
        var diagnosis = HeadDiagnosis.Measure(ShippedModels.Nano, head, s_prompts);
        Assert.Contains(diagnosis.Findings, finding => finding.Contains("features without norm weights", StringComparison.Ordinal));
    }

    [Fact]
    public void A_vocabulary_that_lacks_the_answers_tokens_is_found()
    {
        using var head = DraftHead.Create(new EagleOptions { FusedFeatures = true, DraftVocabulary = 5 }, ShippedModels.Nano);
        var diagnosis = HeadDiagnosis.Measure(ShippedModels.Nano, head, s_prompts);
        Assert.InRange(diagnosis.VocabularyCoverage, 0, 0.5);
        Assert.Contains(diagnosis.Findings, finding => finding.Contains("lie in the draft vocabulary", StringComparison.Ordinal));
        Assert.Contains("features one layer later", diagnosis.OtherFeatures.Keys, StringComparer.Ordinal);
    }

    [Fact]
    public void A_diagnosis_leaves_no_tensor_behind()
    {
        using var head = DraftHead.Load(Good, ShippedModels.Nano);
        _ = ShippedModels.Nano.Model.FinalNorm;
        HeadDiagnosis.Measure(ShippedModels.Nano, head, [s_prompts[0]]);
        var before = DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount;
        HeadDiagnosis.Measure(ShippedModels.Nano, head, [s_prompts[0]]);
        Assert.Equal(before, DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void The_command_measures_with_a_target_and_describes_without_one()
    {
        var run = CommandRun.Of("inspect", Good, "--target", ShippedModels.Folder("koala-nano"));
        run.AssertDone();
        Assert.Contains("teacher-forced, by depth", run.Output);
        Assert.Contains("the speedup back", run.Output);
        CommandRun.Of("inspect", Good, "--prompts", "x.jsonl").AssertRefused("--prompts", "there is none");
    }
}
