using System.Runtime.InteropServices;
using Koala.Lab.Checkpoints.Safetensors;
using Koala.Lab.Data;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Learning;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Text.Chat;
using Koala.Lab.Training;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Training;

/// <summary>Training that is small enough for a test: koala-nano, rows of 64 tokens, two rows per step.</summary>
internal static class TinyModels
{
    private static readonly Lazy<TrainingData> s_data = new(() =>
    {
        var tokenizer = new ConversationTokenizer(ShippedModels.Nano.Tokenizer);
        var conversations = Conversations.Load(TestFiles.At("data", "chats-validation.jsonl.gz"))
            .Take(600)
            .SelectMany(tokenizer.Tokenize)
            .ToArray();
        // Two answers in one segment would make positions ambiguous by hand, and rows without an answer teach nothing.
        var rows = Packing.Pack([.. conversations.Where(c => c.LossMask.Take(64).Count(m => m) > 24)], 64);
        return new TrainingData([.. rows.Skip(8)], [.. rows.Take(8)], "tiny");
    });

    public static TrainingData Data => s_data.Value;

    public static MedusaOptions Head { get; } = new() { Layers = 1, Heads = 3 };

    public static TrainingOptions Options { get; } = new()
    {
        Steps = 12,
        Batch = 2,
        RowLength = 64,
        Warmup = 3,
        LearningRate = 3e-3,
        WeightDecay = 0.01,
        Seed = 5,
        ValidateEvery = 4,
        SaveEvery = 4,
    };

    public static TrainingOptions WithAdversary { get; } =
        Options with { Adversary = new() { Weight = 0.5, Warmup = 2, Width = 16, LowestAccuracy = 0 } };

    public static void Nothing()
    {
    }

    /// <summary>
    /// An untrained head as a training run creates it: its draft vocabulary is counted on <see cref="Data"/>.
    /// </summary>
    public static DraftHead NewHead(HeadOptions options)
    {
        var head = DraftHead.Create(options, ShippedModels.Nano);
        head.ChooseVocabulary(Data.CountTokens(ShippedModels.Nano.Config.VocabularySize), ShippedModels.Nano);
        return head;
    }

    /// <summary>Trains a head through all steps.</summary>
    public static DraftHead Train(TrainingOptions options, HeadOptions? head = null, Action<StepMetrics>? onStep = null)
    {
        var trained = NewHead(head ?? Head);
        using var trainer = new Trainer(ShippedModels.Nano, trained, Data, options);
        trainer.Run(onStep ?? (_ => { }), Nothing);
        return trained;
    }

    /// <summary>The bytes of every exported tensor, by name.</summary>
    public static Dictionary<string, byte[]> Bits(DraftHead head)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return head.ToStateDict().ToDictionary(t => t.Key, t => t.Value.detach().contiguous().bytes.ToArray());
    }

    public static void AssertSame(DraftHead expected, DraftHead actual)
    {
        var (a, b) = (Bits(expected), Bits(actual));
        Assert.Equal(a.Keys, b.Keys);
        foreach (var (name, bits) in a) Assert.True(bits.AsSpan().SequenceEqual(b[name]), $"{name} differs");
    }

    public static bool Same(DraftHead one, DraftHead other) =>
        Bits(one).All(t => t.Value.AsSpan().SequenceEqual(Bits(other)[t.Key]));

    /// <summary>Creates a row from its parts; the positions follow from the segments.</summary>
    public static PackedRow Row(int[] tokens, int[] segments, string mask) =>
        new(tokens, [.. segments.Select((s, i) => i - Array.IndexOf(segments, s))], segments, [.. mask.Select(m => m == 'x')]);

    public static TrainingBatch Batch(params PackedRow[] rows) => Batch(1, rows);

    /// <summary>A batch for several steps of training-time test.</summary>
    public static TrainingBatch Batch(int trainingTimeTest, params PackedRow[] rows)
    {
        using var cache = ShippedModels.Nano.NewCache(rows.Length, rows[0].Tokens.Length);
        return new TrainingBatch(ShippedModels.Nano, cache, rows) { TrainingTimeTestSteps = trainingTimeTest };
    }

    /// <summary>A tensor's values as doubles, row by row.</summary>
    public static double[] Doubles(Tensor tensor)
    {
        using var scope = NewDisposeScope();
        return [.. MemoryMarshal.Cast<byte, double>(tensor.detach().to(ScalarType.Float64).contiguous().bytes).ToArray()];
    }

    /// <summary>The names of a file's tensors that hold a NaN or an infinity.</summary>
    public static string[] NotFinite(string file)
    {
        using var scope = NewDisposeScope();
        using var source = SafetensorsFile.Open(file);
        return [.. source.Tensors.Keys.Where(name =>
            !source.Read(name, ScalarType.Float32, CPU).isfinite().all().item<bool>())];
    }
}
