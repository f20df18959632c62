using Koala.Lab.Data;
using Koala.Lab.Evaluation;
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
    public void Reference_curves_are_those_of_the_reports_and_stand_beside_the_heads_own()
    {
        Assert.All(ReferenceCurve.All.Where(curve => curve.Source.EndsWith(".json", StringComparison.Ordinal)), curve =>
        {
            var report = ReportFiles.Load(TestFiles.At(curve.Source));
            Assert.Equal(report.NAlpha.Select(share => Math.Round(share, 4)), curve.NAlpha.Select(share => share!.Value));
            Assert.EndsWith($"{curve.Kind}-k{curve.Layers}", report.Head, StringComparison.Ordinal);
            Assert.Contains("mt-bench", curve.Source, StringComparison.Ordinal);
        });
        Assert.Equal(9, ReferenceCurve.All.Count(curve => curve.Source.EndsWith(".json", StringComparison.Ordinal)));
        Assert.Equal(["koala-mini 2", "SmolLM2-135M 2"],
            ReferenceCurve.For(new MedusaOptions { Layers = 4 }).Select(curve => $"{curve.Target} {curve.Layers}"));
        Assert.Equal(["koala-mini 2", "SmolLM2-135M 3", "Vicuna 7B, published 1"],
            ReferenceCurve.For(new EagleOptions { Layers = 3 }).Select(curve => $"{curve.Target} {curve.Layers}"));

        using var head = DraftHead.Load(Good, ShippedModels.Nano);
        var diagnosis = HeadDiagnosis.Measure(ShippedModels.Nano, head, [s_prompts[0]]);
        var reference = $"{ReferenceCurve.All[5].NAlpha[0]:0.000}  ";
        Assert.Contains($"  MT-bench, eagle on koala-mini, K = 2{new string(' ', 12)}{reference}", $"{diagnosis}");
        Assert.Contains("0.790  0.740    -      -  ", $"{diagnosis}");
        var svg = Koala.Lab.Charts.Chart.AcceptanceByDepth(diagnosis).Svg;
        foreach (var name in (string[])["teacher-forced", "free-running", "MT-bench, eagle on Vicuna 7B, published, K = 1"])
            Assert.Contains(name, svg);
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
        using var folder = new TemporaryFolder();
        var run = CommandRun.Of("inspect", Good, "--target", ShippedModels.Folder("koala-nano"), "--html", folder.At("page.html"));
        run.AssertDone();
        var page = File.ReadAllText(folder.At("page.html"));
        Assert.Contains("Acceptance by depth", page);
        Assert.Contains("the speedup back", page);
        Assert.Contains("teacher-forced, by depth", run.Output);
        Assert.Contains("the speedup back", run.Output);
        CommandRun.Of("inspect", Good, "--html", "x.html").AssertRefused("--html", "there is none");
        CommandRun.Of("inspect", Good, "--prompts", "x.jsonl").AssertRefused("--prompts", "there is none");
    }
}
