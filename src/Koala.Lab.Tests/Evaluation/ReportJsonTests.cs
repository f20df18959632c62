using System.Text.Json;
using Koala.Lab.Evaluation;
using Koala.Lab.Evaluation.TreeFitting;
using Koala.Lab.Runs;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Tests.Evaluation;

/// <summary>
/// The reports share their circumstances. In JSON each report is as flat as it was before, and older files can still be
/// read.
/// </summary>
public sealed class ReportJsonTests
{
    [Fact]
    public void Evaluation_reports_are_written_as_they_were_read()
    {
        var texts = Results().Where(text => text.Contains("\"nAlpha\"", StringComparison.Ordinal)).ToArray();
        Assert.True(texts.Length > 20);
        foreach (var text in texts)
        {
            var report = JsonSerializer.Deserialize<EvaluationReport>(text, JsonFormat.Document)!;
            Assert.Equal(text.TrimEnd(), JsonSerializer.Serialize(report, JsonFormat.Document));
        }
    }

    [Fact]
    public void Evaluation_reports_of_before_there_were_trees_and_batches_are_read()
    {
        var texts = Results().Where(text => !text.Contains("\"nAlpha\"", StringComparison.Ordinal)).ToArray();
        Assert.NotEmpty(texts);
        foreach (var text in texts)
        {
            var report = JsonSerializer.Deserialize<EvaluationReport>(text, JsonFormat.Document)!;
            Assert.StartsWith("koala-", report.Target, StringComparison.Ordinal);
            Assert.Equal(1, report.Batch);
            Assert.Null(report.Tree);
        }
    }

    [Theory]
    [InlineData("target"), InlineData("head"), InlineData("device"), InlineData("dtype"), InlineData("threads")]
    [InlineData("temperature")]
    public void A_report_without_its_circumstances_is_refused(string field)
    {
        var complete = Results()[0];
        var text = complete.Replace($"\"{field}\":", "\"another\":", StringComparison.Ordinal);
        Assert.NotEqual(complete, text);
        Assert.Throws<JsonException>(() => JsonSerializer.Deserialize<EvaluationReport>(text, JsonFormat.Document));
    }

    [Fact]
    public void A_break_even_report_is_flat()
    {
        var round = new RoundTimes(1, 2, 3);
        var report = new BreakEvenReport(Circumstances.Create(ShippedModels.Nano, "a head", 0.5, 2))
        {
            DraftLength = 1, BaselineMs = 2, BreakEven = 3, Round = round,
                ByDraftLength = [new BreakEvenRow(1, round, 3)], Provenance = Provenance.Create([], null),
        };
        string[] expected =
            ["target", "head", "device", "dtype", "threads", "temperature", "batch", "draftLength", "aloneMs",
                "breakEven", "round", "byDraftLength", "provenance"];
        Assert.Equal(expected, Fields(report));

        var text = JsonSerializer.Serialize(report, JsonFormat.Document);
        var read = JsonSerializer.Deserialize<BreakEvenReport>(text, JsonFormat.Document)!;
        Assert.Equal(text, JsonSerializer.Serialize(read, JsonFormat.Document));
        Assert.StartsWith("a head on koala-nano, cpu, fp32, 1 threads, temperature 0.5, batch size 2\n",
            read.ToString(), StringComparison.Ordinal);
    }

    /// <summary>
    /// A tree is fitted to greedy answers, one at a time; its JSON has therefore never had a temperature or a batch.
    /// </summary>
    [Fact]
    public void A_tree_fit_report_is_flat_and_without_temperature_and_batch()
    {
        var tree = FittedTree.Create([[0], [0, 0]], 1.5, 10);
        var report = new TreeFitReport(Circumstances.Create(ShippedModels.Nano, "a head"))
        {
            By = TreeFitBy.Speed, Prompts = 1, Skipped = 0, Positions = 2, Tree = tree, Chain = tree,
                BaselineTokensPerSecond = 50, ByNodes = [tree],
        };
        string[] expected =
            ["target", "head", "device", "dtype", "threads", "by", "prompts", "skipped", "places", "tree", "chain",
                "aloneTokensPerSecond", "byNodes", "paths"];
        Assert.Equal(expected, Fields(report));
        Assert.Equal([.. expected, "provenance"], Fields(report with { Provenance = Provenance.Create([], null) }));
    }

    private static string[] Fields(object report)
    {
        using var json = JsonDocument.Parse(JsonSerializer.Serialize(report, report.GetType(), JsonFormat.Document));
        return [.. json.RootElement.EnumerateObject().Select(field => field.Name)];
    }

    // The evaluations among the results in docs/; those of sweeps are tables.
    private static string[] Results()
    {
        var files = Directory.GetFiles(TestFiles.At("docs", "results"), "*.json", SearchOption.AllDirectories)
            .Where(file => Path.GetFileName(Path.GetDirectoryName(file)) != "sweeps").Order(StringComparer.Ordinal);
        return [.. files.Select(File.ReadAllText)
            .Where(text => text.Contains("\"acceptanceLength\"", StringComparison.Ordinal))];
    }
}
