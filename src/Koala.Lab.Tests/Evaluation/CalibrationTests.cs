using System.Text.Json;
using Koala.Lab.Charts;
using Koala.Lab.Charts.Pages;
using Koala.Lab.Data;
using Koala.Lab.Decoding.Cost;
using Koala.Lab.Evaluation;
using Koala.Lab.Evaluation.Acceptance;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Tests.Training;
using Koala.Lab.Training;

namespace Koala.Lab.Tests.Evaluation;

/// <summary>Whether confidences are right, as numbers.</summary>
public sealed class CalibrationTests(CalibrationTests.Heads heads) : IClassFixture<CalibrationTests.Heads>
{
    /// <summary>A head that has learned, and one whose confidences are always the same.</summary>
    public sealed class Heads : IDisposable
    {
        private static readonly EagleOptions s_options = new() { Confidence = true };

        private static readonly TrainingOptions s_training = TinyModels.Options with
        {
            Steps = 150, LearningRate = 3e-3, TrainingTimeTest = 3, ValidateEvery = 1000, ValidationAnswers = 0,
        };

        public Heads()
        {
            using (TorchSharp.torch.no_grad())
                foreach (var (name, value) in Constant.Parameters)
                    if (name.StartsWith("confidence", StringComparison.Ordinal)) value.zero_();
        }

        public DraftHead Trained { get; } = TinyModels.Train(s_training, s_options);

        public DraftHead Constant { get; } = TinyModels.Train(s_training with { ConfidenceWeight = 1e-30 }, s_options);

        public void Dispose()
        {
            Trained.Dispose();
            Constant.Dispose();
        }
    }

    [Fact]
    public void The_expected_calibration_error_is_that_of_ten_bins_by_hand()
    {
        var (one, other) = (new CalibrationCounts(), new CalibrationCounts());
        one.Add(0.75, 1);
        one.Add(0.71, 0);
        other.Add(0.79, 1);
        other.Add(1, 1);
        other.Add(0, 0.25);
        var calibration = CalibrationCounts.Of([one, other])!;
        Assert.Equal([1, 3, 1], calibration.Bins.Select(bin => bin.Tokens));
        Assert.Equal(0.75, calibration.Bins[1].Confidence, 1e-12);
        Assert.Equal(2 / 3.0, calibration.Bins[1].Accepted, 1e-12);
        Assert.Equal((0.25 + 3 * (0.75 - 2 / 3.0) + 0) / 5, calibration.Error, 1e-12);
        Assert.Null(CalibrationCounts.Of([new CalibrationCounts()]));
    }

    /// <summary>Of a head that has learned, on other text than it was trained on, at both temperatures.</summary>
    [Theory, InlineData(0.0), InlineData(1.0)]
    public void A_trained_output_is_nearer_to_the_truth_than_an_undecided_one(double temperature)
    {
        var (trained, constant) = (heads.Trained, heads.Constant);
        var prompts = Prompts.Load(TestFiles.At("data", "mt-bench.jsonl"), 8);
        EvaluationReport Report(DraftHead head, double threshold = 0) => Evaluator.Run(ShippedModels.Nano, head, "head", prompts,
            new EvaluationOptions
            {
                Generation = new() { MaxTokens = 24, DraftLength = 4, Temperature = temperature, ConfidenceThreshold = threshold },
                Limits = DisturbanceLimits.None,
            });
        var (good, bad) = (Report(trained), Report(constant));
        // Everything has the confidence 0.5.
        Assert.Equal(0.5, Assert.Single(bad.Calibration!.Bins).Confidence, 1e-6);
        Assert.True(good.Calibration!.Error < bad.Calibration.Error / 2, $"{good.Calibration.Error} and {bad.Calibration.Error}");
        Assert.True(good.Calibration.Bins.Count > 2);
        Assert.Equal(good.Calibration.Bins.Sum(bin => bin.Tokens), bad.Calibration.Bins.Sum(bin => bin.Tokens));
        // The same tokens give n-alpha.
        var accepted = good.Calibration.Bins.Sum(bin => bin.Accepted * bin.Tokens) / good.Calibration.Bins.Sum(bin => bin.Tokens);
        Assert.InRange(accepted, good.NAlpha.Min() - 1e-6, good.NAlpha.Max() + 1e-6);

        // A cut drafts fewer tokens in vain.
        var cut = Report(trained, 0.3);
        Assert.Equal(0.3, cut.ConfidenceThreshold);
        Assert.Null(good.ConfidenceThreshold);
        if (temperature == 0) Assert.True(cut.Lossless);
        Assert.Contains("cut below confidence 0.3", cut.ToString(), StringComparison.Ordinal);
        Assert.Contains("calibration error", good.ToString(), StringComparison.Ordinal);
        Assert.Contains("calibration error", ResultPage.OfReport(good).ToHtml(), StringComparison.Ordinal);
        var json = JsonSerializer.Serialize(cut, JsonFormat.Document);
        Assert.Equal(cut.Calibration!.Bins, JsonSerializer.Deserialize<EvaluationReport>(json, JsonFormat.Document)!.Calibration!.Bins);
        Assert.Contains("if confidences were right", Chart.Reliability(cut).Svg, StringComparison.Ordinal);
    }
}
