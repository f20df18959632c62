using System.Text.Json;
using Koala.Lab.Evaluation;
using Koala.Lab.Evaluation.Gates;

namespace Koala.Lab.Tests.Evaluation;

public sealed class GateTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly EvaluationReport _report = Reports.Create(Enumerable.Repeat((40, 40, 0.01), 12));

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("""{"figure":"acceptanceLength.mean","value":2.04,"below":"2%"}""", true, "at least 1.9992")]
    [InlineData("""{"figure":"acceptanceLength.mean","value":2.05,"below":"2%"}""", false, "at least 2.009")]
    [InlineData("""{"figure":"acceptanceLength.mean","value":2.1,"below":0.2}""", true, "at least 1.9")]
    [InlineData("""{"figure":"round.draftMs","value":0.9,"above":"10%"}""", false, "at most 0.99")]
    [InlineData("""{"figure":"round.draftMs","value":0.9,"above":0.1}""", true, "at most 1")]
    [InlineData("""{"figure":"positionAcceptance[1]","value":0.5,"below":0,"above":0}""", true, "0.5 to 0.5")]
    [InlineData("""{"figure":"lossless","value":true}""", true, "true")]
    [InlineData("""{"figure":"lossless","value":false}""", false, "false")]
    [InlineData("""{"figure":"head","value":"a head"}""", true, "a head")]
    [InlineData("""{"figure":"head","value":"another"}""", false, "another")]
    [InlineData("""{"figure":"predicted","value":1,"below":"50%"}""", false, "at least 0.5")]
    [InlineData("""{"figure":"nearTies","value":0,"above":0}""", false, "at most 0")]
    public void A_threshold_passes_or_fails(string threshold, bool passed, string bounds)
    {
        var result = Assert.Single(Load($$"""{"thresholds":[{{threshold}}]}""").Check(_report).Results);
        Assert.Equal(passed, result.Passed);
        Assert.EndsWith(bounds, result.ToString(), StringComparison.Ordinal);
        Assert.StartsWith(passed ? "passed " : "FAILED ", result.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_gate_of_a_report_passes_it_and_fails_a_worse_one()
    {
        Gate.Create(_report, Gate.StandardFigures, "2%").Save(_folder.At("gate.json"));
        var gate = Gate.Load(_folder.At("gate.json"));
        Assert.True(gate.Check(_report).Passed);
        var worse = gate.Check(Reports.Create(Enumerable.Repeat((37, 40, 0.01), 12)) with { Lossless = false });
        Assert.False(worse.Passed);
        Assert.EndsWith("2 of 2 thresholds failed\n", worse.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"thresholds":[]}""", "gate.json: has no thresholds, so nothing could fail. "
        + """Fix: give "thresholds" with "figure", "value" and "below" or "above".""")]
    [InlineData("""{"thresholds":[{"figure":"a","value":1}]}""", "gate.json, threshold 1: a has neither below nor above. Fix: correct it.")]
    [InlineData("""{"thresholds":[{"figure":"a","value":"b","below":1}]}""",
        "gate.json, threshold 1: a is no number, so it has no below and no above. Fix: correct it.")]
    [InlineData("""{"thresholds":[{"figure":"a","value":1,"below":"2"}]}""",
        """gate.json, threshold 1: below or above of a is neither a number from 0 on nor a text such as "2%". Fix: correct it.""")]
    [InlineData("""{"thresholds":[{"figure":"a","value":1,"below":-1}]}""",
        """gate.json, threshold 1: below or above of a is neither a number from 0 on nor a text such as "2%". Fix: correct it.""")]
    [InlineData("""{"thresholds":[{"figure":"a","value":[1]}]}""",
        "gate.json, threshold 1: the value of a is neither a number, a word, true nor false. Fix: correct it.")]
    [InlineData("""{"thresholds":[{"figure":"","value":true}]}""", "gate.json, threshold 1: has no figure. Fix: correct it.")]
    public void A_gate_that_says_nothing_is_refused(string json, string message)
    {
        var refused = Assert.Throws<KoalaException>(() => Load(json));
        Assert.Equal(message, refused.Message.Replace(_folder.At("gate.json"), "gate.json", StringComparison.Ordinal));
    }

    [Theory, InlineData("{"), InlineData("null"), InlineData("[]"), InlineData("""{"threshold":[]}""")]
    public void What_is_no_gate_is_refused_in_one_line(string json)
    {
        var refused = Assert.Throws<KoalaException>(() => Load(json));
        Assert.Contains("is not a gate", refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', refused.Message);
    }

    [Theory, InlineData("acceptanceLength.median"), InlineData("positionAcceptance[2]"), InlineData("head.x"), InlineData("nothing")]
    public void A_figure_that_the_report_does_not_have_is_refused(string figure)
    {
        var gate = Load($$"""{"thresholds":[{"figure":"{{figure}}","value":1,"below":0}]}""");
        var refused = Assert.Throws<KoalaException>(() => gate.Check(_report));
        Assert.StartsWith($"figure {figure}: the report has no ", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Reports_are_read_with_their_answers()
    {
        var file = _folder.At("report.json");
        ReportFiles.Save(_report, file);
        var read = ReportFiles.Load(file);
        Assert.Equal(JsonSerializer.Serialize(_report.Answers), JsonSerializer.Serialize(read.Answers));
        Assert.Equal(_report.AcceptanceLength, read.AcceptanceLength);
        File.AppendAllText(ReportFiles.AnswersOf(file), "{}\n");
        Assert.Contains("has 13 lines for 12 answers", Assert.Throws<KoalaException>(() => ReportFiles.Load(file)).Message,
            StringComparison.Ordinal);
        File.Delete(ReportFiles.AnswersOf(file));
        Assert.Empty(ReportFiles.Load(file).Answers);
    }

    private Gate Load(string json)
    {
        File.WriteAllText(_folder.At("gate.json"), json);
        return Gate.Load(_folder.At("gate.json"));
    }
}
