using Koala.Lab.Checkpoints;
using Koala.Lab.Checkpoints.Safetensors;
using Koala.Lab.Heads;
using Koala.Lab.Runs;
using Koala.Lab.Training;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Training;

/// <summary>Rare data and values at the edge of their ranges.</summary>
public sealed class EdgeTests
{
    [Fact]
    public void A_step_whose_rows_have_no_labels_does_not_end_the_run()
    {
        // A prompt longer than the row leaves a row without an answer; a short answer leaves the deeper heads without a
        // position.
        var silent = TinyModels.Row([.. Enumerable.Range(20, 64)], new int[64], new string('.', 64));
        var brief = TinyModels.Row([.. Enumerable.Range(20, 64)], new int[64], new string('.', 61) + "xx.");
        var data = new TrainingData([silent, brief, silent, brief], TinyModels.Data.Validation, "edge");
        foreach (var options in (TrainingOptions[])[TinyModels.Options, TinyModels.WithAdversary,
            TinyModels.Options with { Losses = [new("cross-entropy")] }])
        {
            var lines = new List<StepMetrics>();
            using var head = DraftHead.Create(TinyModels.Head, ShippedModels.Nano);
            using var trainer = new Trainer(ShippedModels.Nano, head, data, options with { Batch = 1, Steps = 6 });
            trainer.Run(lines.Add, TinyModels.Nothing);
            Assert.Equal(6, lines.Count);
        }
    }

    [Fact]
    public void Resuming_a_finished_run_is_refused()
    {
        using var run = new TinyRun();
        run.Start(TinyRun.Plan with { Training = TinyModels.Options with { Steps = 2 } });
        Assert.Contains("is finished", Assert.Throws<KoalaException>(() => run.Resume()).Fault, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("weightDecay")]
    [InlineData("adversary.learningRate")]
    [InlineData("beta1")]
    [InlineData("beta2")]
    public void A_value_that_can_only_give_NaN_is_refused(string option)
    {
        // Adam divides by 1 - beta^n.
        var options = option switch
        {
            "weightDecay" => TinyModels.Options with { WeightDecay = double.PositiveInfinity },
            "beta1" => TinyModels.Options with { Beta1 = 1 },
            "beta2" => TinyModels.Options with { Beta2 = 1 },
            _ => TinyModels.WithAdversary with
            {
                Adversary = TinyModels.WithAdversary.Adversary with { LearningRate = double.PositiveInfinity },
            },
        };
        Assert.Equal(option, Assert.Throws<KoalaException>(options.Validate).Where);
    }

    [Fact]
    public void A_rate_beyond_fp32_leaves_a_finite_state()
    {
        using var run = new TinyRun();
        Assert.Throws<KoalaException>(() =>
            run.Start(TinyRun.Plan with { Training = TinyModels.Options with { LearningRate = 1e39, Warmup = 0 } }));
        if (new CheckpointStore(run.Folder.CheckpointsFolder).Latest() is { } state)
            Assert.Empty(TinyModels.NotFinite(Path.Combine(state.Folder, "state.safetensors")));
    }

    [Theory]
    [InlineData("step", "many")]
    [InlineData("step", "99999999999")]
    [InlineData("tokens", "")]
    [InlineData("seconds", "soon")]
    public void A_state_with_invalid_numbers_is_refused(string key, string value)
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var head = DraftHead.Create(TinyModels.Head, ShippedModels.Nano);
        using var trainer = new Trainer(ShippedModels.Nano, head, TinyModels.Data, TinyModels.Options);
        trainer.SaveState(folder.Path);
        var path = folder.At("state.safetensors");
        StateDict tensors;
        Dictionary<string, string> metadata;
        using (var file = SafetensorsFile.Open(path))
        {
            tensors = [.. file.Tensors.Keys.Select(name =>
                KeyValuePair.Create(name, file.Read(name, ScalarType.Float32, CPU)))];
            metadata = new Dictionary<string, string>(file.Metadata) { [key] = value };
        }
        SafetensorsWriter.Write(path, tensors, metadata);
        Assert.Contains(path, Assert.Throws<KoalaException>(() => trainer.LoadState(folder.Path)).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Positions_do_not_cross_from_one_answer_into_the_next_of_the_same_conversation()
    {
        using var batch = TinyModels.Batch(TinyModels.Row([.. Enumerable.Range(20, 12)], new int[12], ".xxx.xxxx..."));
        Assert.Equal([0, 1, 4, 5, 6], batch.LabelPositions(2));
        Assert.Equal([4], batch.LabelPositions(4));
        Assert.Empty(batch.LabelPositions(5));
    }

    [Theory]
    [InlineData("""{"format":1}""")]
    [InlineData("""{"format":1,"head":{"kind":"medusa"}}""")]
    [InlineData("""{"format":1,"head":{"kind":"medusa"},"target":{"name":"koala-nano"}}""")]
    [InlineData("""{"format":1,"head":{"layers":1},"target":{}}""")]
    public void A_heads_config_without_a_part_is_refused(string text)
    {
        using var folder = new TemporaryFolder();
        using var head = DraftHead.Create(TinyModels.Head, ShippedModels.Nano);
        head.Save(folder.Path, "card");
        File.WriteAllText(folder.At("config.json"), text);
        Assert.Contains("config.json",
            Assert.Throws<KoalaException>(() => DraftHead.Load(folder.Path, ShippedModels.Nano)).Message,
            StringComparison.Ordinal);
    }
}
