using System.Runtime.InteropServices;
using Koala.Lab.Checkpoints;
using Koala.Lab.Checkpoints.Pickles;
using Koala.Lab.Checkpoints.Safetensors;
using Koala.Lab.Kernels;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Kernels;

/// <summary>Panels hold the bits of the weights, wherever these come from, in the smallest type that has them all.</summary>
public sealed unsafe class PanelPackingTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly WorkCrew _crew = new(3);

    public void Dispose()
    {
        _crew.Dispose();
        _folder.Dispose();
    }

    public static TheoryData<ScalarType> Dtypes => [ScalarType.Float32, ScalarType.BFloat16, ScalarType.Float16];

    [Theory, MemberData(nameof(Dtypes))]
    public void Panels_of_random_matrices_are_those_of_the_formula(ScalarType dtype)
    {
        var random = new Random(1);
        var seen = new HashSet<PanelType>();
        for (var i = 0; i < PromptSample.Count(5000, 300); i++)
        {
            var inputs = random.Next(1, 200);
            using var scope = NewDisposeScope();
            Tensor[] parts = [.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => Weights(random, random.Next(1, 100), inputs, dtype))];
            // In a few matrices a single number decides.
            if (random.Next(3) == 0) parts[^1][-1, -1] = 1 + MathF.ScaleB(1, -10);
            using var packed = (FloatPanels)PanelPacking.Pack([.. parts.Select(Stored)], _crew);
            AssertFormula(packed, Floats(cat(parts)));
            seen.Add(packed.Type);
        }
        PanelType[] expected = dtype switch
        {
            ScalarType.Float32 => [PanelType.Float32, PanelType.BFloat16, PanelType.Float16],
            ScalarType.Float16 => [PanelType.BFloat16, PanelType.Float16],
            _ => [PanelType.BFloat16],
        };
        Assert.Equal(expected.Order(), seen.Order());
    }

    [Theory]
    [InlineData(ScalarType.Float32, float.NaN)]
    [InlineData(ScalarType.Float32, float.PositiveInfinity)]
    [InlineData(ScalarType.BFloat16, float.NaN)]
    [InlineData(ScalarType.Float16, float.NegativeInfinity)]
    public void Panels_of_numbers_that_are_not_finite_are_those_of_the_formula(ScalarType dtype, float number)
    {
        using var scope = NewDisposeScope();
        var weights = Weights(new Random(2), 70, 33, dtype);
        weights[0, 0] = 1 + MathF.ScaleB(1, -10);
        weights[69, 32] = number;
        using var packed = (FloatPanels)PanelPacking.Pack([Stored(weights)], _crew);
        AssertFormula(packed, Floats(weights));
    }

    [Theory, MemberData(nameof(Dtypes))]
    public void Every_source_gives_the_rows_that_its_tensors_have(ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        var weights = Weights(new Random(3), 50, 21, dtype);
        var file = _folder.At("model.safetensors");
        SafetensorsWriter.Write(file, [new("layers.x", weights), new("embed_tokens.weight", weights + 1), new("norm", weights[0])]);
        File.WriteAllText(_folder.At("index.json"),
            """{"weight_map":{"layers.x":"model.safetensors","embed_tokens.weight":"model.safetensors"}}""");
        using var plain = SafetensorsFile.Open(file);
        using var sharded = RenamedTensors.Wrap(ShardedWeights.Open(_folder.At("index.json")));
        AssertRows(plain, "layers.x");
        AssertRows(sharded, "model.layers.x");
        AssertRows(sharded, "model.embed_tokens.weight");
        Assert.Null(StoredMatrix.Find(plain, "norm"));
        Assert.Null(StoredMatrix.Find(plain, "none"));
        Assert.Null(StoredMatrix.Find(sharded, "none"));
    }

    [Fact]
    public void A_file_of_PyTorch_gives_the_rows_that_its_tensors_have()
    {
        using var scope = NewDisposeScope();
        using var file = PickleFile.Open(Golden.At("pickles", "tensors.pt"));
        string[] stored = [.. file.Tensors.Keys.Where(name => StoredMatrix.Find(file, name) is not null)];
        Assert.NotEmpty(stored);
        foreach (var name in stored) AssertRows(file, name);
    }

    [Theory, MemberData(nameof(Dtypes))]
    public void A_number_that_is_not_finite_is_refused_in_any_row(ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        foreach (var (row, column) in ((int, int)[])[(0, 0), (31, 20), (32, 0), (49, 20)])
        {
            var weights = Weights(new Random(4), 50, 21, dtype);
            weights[row, column] = row % 2 == 0 ? float.NaN : float.PositiveInfinity;
            var file = _folder.At("model.safetensors");
            SafetensorsWriter.Write(file, [new("x", weights)]);
            using var source = SafetensorsFile.Open(file);
            var live = NativeBuffer.LiveBytes;
            var e = Assert.Throws<KoalaException>(() => PanelPacking.Pack([new CheckedTensors(source).Stored("x")!], _crew));
            Assert.Equal("has 1 of 1050 weights that are not finite (NaN or infinity)", e.Fault);
            Assert.Contains("tensor 'x'", e.Where, StringComparison.Ordinal);
            Assert.Equal(live, NativeBuffer.LiveBytes);
        }
    }

    [Fact]
    public void A_file_that_has_become_shorter_is_named()
    {
        using var scope = NewDisposeScope();
        var file = _folder.At("model.safetensors");
        SafetensorsWriter.Write(file, [new("x", Weights(new Random(5), 500, 64, ScalarType.BFloat16))]);
        using var source = SafetensorsFile.Open(file);
        using (var handle = File.Open(file, FileMode.Open, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete))
            handle.SetLength(handle.Length - 64);
        var e = Assert.Throws<KoalaException>(() => PanelPacking.Pack([StoredMatrix.Find(source, "x")!], _crew));
        Assert.Contains("has become shorter", e.Fault, StringComparison.Ordinal);
    }

    private static void AssertRows(ITensorSource source, string name)
    {
        var stored = StoredMatrix.Find(source, name)!;
        var expected = source.Read(name, stored.Dtype, CPU).bytes.ToArray();
        var rows = new byte[2 * stored.RowBytes];
        for (var first = 0L; first < stored.Rows - 1; first++)
        {
            stored.Fill(first, rows);
            Assert.Equal(expected[(int)(first * stored.RowBytes)..][..rows.Length], rows);
        }
    }

    // A panel has its inputs in order: of fp32 the 32 outputs of each, of 16 bits pairs of inputs for each of 32 outputs.
    private static void AssertFormula(FloatPanels packed, float[] weights)
    {
        fixed (float* numbers = weights) Assert.Equal(PanelMatrix.SmallestType(numbers, weights.Length), packed.Type);
        var (outputs, inputs) = (packed.Outputs, packed.Inputs);
        Assert.Equal(weights.Length, outputs * inputs);
        for (var panel = 0; panel < packed.Panels; panel++)
        {
            var expected = new byte[packed.PanelBytes];
            var words = MemoryMarshal.Cast<byte, float>(expected.AsSpan());
            var halves = MemoryMarshal.Cast<byte, ushort>(expected.AsSpan());
            for (var lane = 0; lane < Math.Min(32, outputs - panel * 32); lane++)
                for (var k = 0; k < inputs; k++)
                {
                    var number = weights[(panel * 32 + lane) * inputs + k];
                    if (packed.Type == PanelType.Float32) words[k * 32 + lane] = number;
                    else halves[(k / 2 * 32 + lane) * 2 + k % 2] = packed.Type == PanelType.BFloat16
                        ? (ushort)(BitConverter.SingleToUInt32Bits(number) >> 16)
                        : BitConverter.HalfToUInt16Bits((Half)number);
                }
            if (!expected.AsSpan().SequenceEqual(new ReadOnlySpan<byte>(packed.Panel(panel), expected.Length)))
                Assert.Fail($"panel {panel} of [{outputs},{inputs}] in {packed.Type}");
        }
    }

    // Numbers of a random type among those that the dtype has.
    private static Tensor Weights(Random random, int outputs, int inputs, ScalarType dtype)
    {
        var type = dtype switch
        {
            ScalarType.BFloat16 => PanelType.BFloat16,
            ScalarType.Float16 => random.Next(2) == 0 ? PanelType.Float16 : PanelType.BFloat16,
            _ => (PanelType)random.Next(3),
        };
        var numbers = Numbers.Random(random, outputs * inputs, type);
        // Few bits, and a size that both 16-bit types have.
        if (dtype == ScalarType.Float16 && type == PanelType.BFloat16)
            for (var i = 0; i < numbers.Length; i++) numbers[i] = random.Next(-128, 128);
        return tensor(numbers).view(outputs, inputs).to(dtype);
    }

    private static StoredMatrix Stored(Tensor weights) =>
        StoredMatrix.InMemory(weights.dtype, weights.shape[0], weights.shape[1], HostMemory.Bytes(weights));

    private static float[] Floats(Tensor weights) => weights.to(ScalarType.Float32).data<float>().ToArray();
}
