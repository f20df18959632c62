using System.Text.Json;
using System.Text.Json.Nodes;
using Koala.Lab.Adversary;
using Koala.Lab.Runs;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Training;

namespace Koala.Lab.Tests.Training;

/// <summary>The controls of an adversary, and runs of versions that knew one control and one adversary only.</summary>
public sealed class TrainingControlsTests
{
    [Fact]
    public void A_control_is_the_training_without_the_adversary_and_with_its_loss()
    {
        var options = TinyModels.WithAdversary with { Losses = [new("smooth-l1", 0.1), new("kl", 0.5, 0.8), new("acceptance", 0.2, 0.9)] };
        var plain = TrainingControls.Create("none", options);
        Assert.Equal(options with { Adversary = options.Adversary with { Weight = 0 } }, plain);
        Assert.Equal([.. options.Losses, new("expected-tau", 1, 0.8)], TrainingControls.Create("expected-tau", options).Losses);
        Assert.Equal([options.Losses[0], options.Losses[1], new("acceptance", 1.2, 0.9)],
            TrainingControls.Create("acceptance", options).Losses);
        Assert.All(TrainingControls.Names.Skip(1), name => LossRegistry.Find(name));
        Assert.Equal("withControls", Assert.Throws<KoalaException>(() => TrainingControls.Create("no-such", options)).Where);
    }

    [Fact]
    public void Each_control_is_a_run_of_its_own_that_equals_a_separate_training()
    {
        using var run = new TinyRun();
        var plan = TinyRun.Pair with { Training = TinyModels.WithAdversary with { Steps = 4 }, WithControls = ["none", "total-variation"] };
        run.Start(plan);
        Assert.True(TrainingRun.IsDone(run.Folder));
        Assert.Equal(["control", "control-total-variation"], run.Folder.ControlFolders.Select(Path.GetFileName));
        foreach (var name in plan.WithControls)
        {
            var control = RunFolder.Open(run.Folder.ControlFolder(name));
            Assert.Equal(RunState.Finished, control.ReadRecord().State);
            using var trained = TinyModels.Train(TrainingControls.Create(name, plan.Training));
            using var head = Koala.Lab.Heads.DraftHead.Load(control.HeadFolder, ShippedModels.Nano);
            TinyModels.AssertSame(trained, head);
        }
    }

    [Fact]
    public void A_run_of_an_earlier_version_keeps_its_adversary_and_its_control()
    {
        var options = JsonSerializer.SerializeToNode(TinyRun.Pair, JsonFormat.Document)!.AsObject();
        options.Remove("withControls");
        options["withControl"] = true;
        options["training"]!["adversary"] = JsonNode.Parse("""{"weight": 0.3, "warmup": 7, "width": 64, "learningRate": 0.001}""");
        var plan = EarlierOptions.Upgrade(options).Deserialize<TrainingPlan>(JsonFormat.Document)!;
        Assert.Equal(["none"], plan.WithControls);
        Assert.Equal(AdversaryOptions.Earlier with { Weight = 0.3, Warmup = 7, Width = 64, LearningRate = 0.001 },
            plan.Training.Adversary);
        // What is written today is left as it is.
        var now = JsonSerializer.SerializeToNode(TinyRun.Pair, JsonFormat.Document)!;
        TinyRun.AssertSame(TinyRun.Pair, EarlierOptions.Upgrade(now).Deserialize<TrainingPlan>(JsonFormat.Document)!);
    }
}
