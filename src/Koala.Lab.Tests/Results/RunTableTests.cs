using Koala.Lab.Evaluation;
using Koala.Lab.Results;

namespace Koala.Lab.Tests.Results;

/// <summary>The table of runs: which runs it finds, what it knows of them, and how it is filtered and sorted.</summary>
public sealed class RunTableTests : IDisposable
{
    private readonly SampleRuns _runs = new();

    [Fact]
    public void It_has_the_runs_at_any_depth_and_their_controls_with_the_last_values_and_the_newest_report()
    {
        var table = RunTable.Read(_runs.Path);
        Assert.Equal(["cells/k1", "seed0", "seed0/control", "seed1", "seed2"], table.Rows.Select(row => row.Name));
        Assert.Empty(table.Damaged);
        var report = ReportFiles.Load(SampleRuns.Report);
        Assert.Equal(
            ["seed0", "finished", "koala-nano", "medusa", 2.0, 0.0, 0.1, 4.0, 2.5, 0.25, report.AcceptanceLength.Mean,
                report.Speedup.Median, "2026-11-23T10:15:00+00:00"],
            table.ToTable().Rows[1]);
        Assert.Equal([null, null], table.ToTable(["acceptanceLength", "speedup"]).Rows[0]);
    }

    [Fact]
    public void A_run_or_several_folders_can_be_read()
    {
        Assert.Equal(["seed0", "control"], RunTable.Read(_runs.At("seed0")).Rows.Select(row => row.Name));
        Assert.Equal([_runs.At("seed1"), _runs.At("cells", "k1")],
            RunTable.Read(_runs.At("seed1"), _runs.At("cells")).Rows.Select(row => row.Name));
        Assert.Contains("is not a folder", Assert.Throws<KoalaException>(() => RunTable.Read(_runs.At("none"))).Message,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("layers>=2 and seed=0", "seed0,seed0/control")]
    [InlineData("layers = 2 and adversaryWeight != 0", "seed0,seed1,seed2")]
    [InlineData("state=interrupted", "cells/k1")]
    [InlineData("state!=finished", "cells/k1")]
    [InlineData("name~SEED and loss<3", "seed0,seed0/control")]
    [InlineData("seed=2 or layers=2 and seed=1", "seed1,seed2")]
    [InlineData("seed=1 and layers=9 or name=seed2 or state=none", "seed2")]
    [InlineData("name='seed0/control'", "seed0/control")]
    [InlineData("options.training.adversary.weight>0.05 and seed<=1", "seed0,seed1")]
    [InlineData("training.learningRate=3e-3 and losses[0].name=kl and seed>1", "seed2")]
    [InlineData("speedup.low>1", "seed0")]
    [InlineData("lossless=true", "seed0")]
    [InlineData("speedup<100", "seed0")]
    [InlineData("started>=2026-11-23T10:15:02", "seed2")]
    [InlineData("seed=17", "")]
    public void Conditions_choose_runs_by_any_field(string conditions, string names) =>
        Assert.Equal(names, string.Join(',', RunTable.Read(_runs.Path).Where(conditions).Rows.Select(row => row.Name)));

    [Theory]
    [InlineData("layrs>=2", "no run has a field layrs; the nearest is layers")]
    [InlineData("report.speedup.lov>1", "the nearest is report.speedup.low")]
    [InlineData("zzzzzz=1", "no run has a field zzzzzz. Fix")]
    [InlineData("learningRate=1", "is the end of options.training.adversary.learningRate and of options.training.learningRate")]
    [InlineData("layers>=two", "compares layers, which is a number, with 'two'")]
    [InlineData("layers", "'layers' is not of the form FIELD OPERATOR VALUE")]
    [InlineData("", "'' is not of the form")]
    [InlineData("layers=1 and ", "is not of the form")]
    [InlineData("layers=1 or", "is not of the form")]
    [InlineData("or layers=1", "is not of the form")]
    [InlineData("name=floor layers=1", "is not of the form")]
    [InlineData("layers=1 and seed", "'seed' is not of the form")]
    public void Wrong_conditions_are_refused(string conditions, string words)
    {
        var refused = Assert.Throws<KoalaException>(() => RunTable.Read(_runs.Path).Where(conditions));
        Assert.Equal("Where", refused.Option);
        Assert.Contains(words, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Runs_are_sorted_with_those_that_lack_the_field_last()
    {
        var table = RunTable.Read(_runs.Path);
        static string Names(RunTable runs) => string.Join(',', runs.Rows.Select(row => row.Name));
        Assert.Equal("seed2,seed1,cells/k1,seed0,seed0/control", Names(table.Sort("accuracy", descending: true)));
        Assert.Equal("seed0,cells/k1,seed0/control,seed1,seed2", Names(table.Sort("speedup")));
        Assert.Equal("seed0,cells/k1,seed0/control,seed1,seed2", Names(table.Sort("speedup", descending: true)));
        Assert.Equal("Sort", Assert.Throws<KoalaException>(() => table.Sort("speedupp")).Option);
    }

    [Fact]
    public void What_is_damaged_is_named_and_the_rest_is_there()
    {
        _runs.Damage();
        var table = RunTable.Read(_runs.Path);
        Assert.Equal(["cells/k1", "seed0", "seed0/control", "seed1", "seed2"], table.Rows.Select(row => row.Name));
        Assert.Null(table.Rows[4].Fields["loss"]);
        Assert.Equal(["broken", "newer", "seed1"], table.Damaged.Select(damaged => damaged.Name));
        Assert.Contains("cannot be read as a run's record", table.Damaged[0].Fault, StringComparison.Ordinal);
        Assert.Contains("has format version 9, but this Koala reads 1", table.Damaged[1].Fault, StringComparison.Ordinal);
        Assert.Contains("gone.json: is not a report of koala evaluate", table.Damaged[2].Fault, StringComparison.Ordinal);
        Assert.All(table.Damaged, damaged => Assert.DoesNotContain('\n', damaged.Fault));
    }

    [Fact]
    public void Steps_have_a_row_each_and_no_value_where_there_was_nothing_to_learn()
    {
        var steps = RunTable.Read(_runs.Path).Where("seed=1").ToSteps();
        Assert.Equal(["run", "step", "seconds", "loss", "validationAccuracyAtDepth1"], steps.Columns);
        Assert.Equal(4, steps.Rows.Count);
        Assert.Equal(["seed1", 1.0, 1.0, null, null], steps.Rows[0]);
        Assert.Equal(["seed1", 2.0, 2.0, 6.0, 1.25], steps.Rows[1]);
    }

    public void Dispose() => _runs.Dispose();
}
