using System.Security.Cryptography;
using Koala.Lab.Data;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Targets;
using Koala.Lab.Training;

namespace Koala.Lab.Tests.Training;

/// <summary>
/// What a training step computes depends on its state and its batch, not on what the process computed before.
/// </summary>
/// <remarks>
/// Products of few rows are computed in another form than those of many rows, and TorchScript specialises a function on
/// its first calls. So the batches differ in how many positions can be learned: none, few and many.
/// </remarks>
public sealed class ResumedStepsTests
{
    private const int RowLength = 128;

    // With this seed the rows are visited in the order in which they are listed here.
    private const int Seed = 3728;
    private static readonly int[] s_positions = [0, 1, 6, 20, 33, 100];

    [Theory, InlineData(MedusaOptions.KindName), InlineData(EagleOptions.KindName)]
    public void Resumed_before_every_step_in_a_process_with_another_past_a_run_is_bit_identical(string kind)
    {
        var data = Data();
        Assert.Equal(s_positions, s_positions.Select((_, step) => Positions(data.Batch(step, 1, Seed)[0])));

        using var states = new TemporaryFolder();
        var undisturbed = new List<string>();
        using (var target = Load())
        using (var head = DraftHead.Create(Head(kind), target))
        using (var trainer = new Trainer(target, head, data, Options(kind)))
        {
            trainer.SaveState(states.At("0"));
            trainer.Run(line => undisturbed.Add(Describe(line, head)),
                () => trainer.SaveState(states.At($"{trainer.StepsDone}")));
        }
        Assert.Equal(s_positions.Length, undisturbed.Count);
        Assert.Equal(undisturbed, ResumingProcess.Run(kind, states.Path));
    }

    /// <summary>Takes each step from the state before it, the last step first.</summary>
    /// <param name="kind">The kind of head.</param>
    /// <param name="states">The folder that holds the state after each step.</param>
    /// <returns>The metrics of each step as text.</returns>
    internal static IEnumerable<string> LastFirst(string kind, string states)
    {
        using var target = Load();
        for (var step = s_positions.Length - 1; step >= 0; step--)
        {
            using var head = DraftHead.Create(Head(kind), target);
            using var trainer = new Trainer(target, head, Data(), Options(kind));
            trainer.LoadState(Path.Combine(states, $"{step}"));
            yield return OneStep(trainer, head);
        }
    }

    private static string OneStep(Trainer trainer, DraftHead head)
    {
        using var stop = new CancellationTokenSource();
        var metrics = "";
        try
        {
            trainer.Run(
                line =>
                {
                    metrics = Describe(line, head);
                    stop.Cancel();
                },
                TinyModels.Nothing, stop.Token);
        }
        catch (OperationCanceledException)
        {
        }
        return metrics;
    }

    // This is a new target, not the one that other tests have used.
    private static Target Load() => Target.Load(ShippedModels.Folder("koala-nano"));

    private static HeadOptions Head(string kind) =>
        kind == EagleOptions.KindName ? new EagleOptions { Layers = 2 } : new MedusaOptions { Layers = 2, Heads = 3 };

    private static TrainingOptions Options(string kind) => TrainingPresets.Create("koala", Head(kind), s_positions.Length) with
    {
        Batch = 1,
        RowLength = RowLength,
        Seed = Seed,
        SaveEvery = 1,
    };

    private static TrainingData Data()
    {
        PackedRow[] rows = [.. s_positions.Select(Row)];
        return new TrainingData(rows, [rows[^1]], "positions");
    }

    // A row with this number of positions to learn: an answer of one token more.
    private static PackedRow Row(int positions)
    {
        int[] tokens = [.. Enumerable.Range(0, RowLength).Select(i => 3 + (i * i * 7 + i * 5 + positions) % 480)];
        var answer = positions == 0 ? "" : new string('x', positions + 1);
        return TinyModels.Row(tokens, new int[RowLength], answer.PadLeft(answer.Length + 20, '.').PadRight(RowLength, '.'));
    }

    private static int Positions(PackedRow row) => Math.Max(row.LossMask.Count(inAnswer => inAnswer) - 1, 0);

    private static string Describe(StepMetrics line, DraftHead head)
    {
        var numbers = line.Values.Where(value => value.Key != "seconds").Select(value => $"{value.Key}={value.Value:R}");
        var weights = TinyModels.Bits(head).SelectMany(tensor => tensor.Value).ToArray();
        return $"{string.Join(' ', numbers)} weights={Convert.ToHexStringLower(SHA256.HashData(weights))}";
    }
}
