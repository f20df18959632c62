using Koala.Lab.Checkpoints.Gguf;
using Koala.Lab.Kernels;
using Koala.Lab.Targets;
using Koala.Lab.Tests.Checkpoints;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Kernels;

/// <summary>A quantized matrix computes what the numbers would that its file stands for, bit by bit.</summary>
public sealed unsafe class QuantizedPanelsTests : IDisposable
{
    private const int Columns = 512;

    private readonly TemporaryFolder _folder = new();

    public static TheoryData<uint, int, int, int> Types => new()
    {
        // The number of the type, the bytes of a block, the numbers of a block, and the bytes before the first scale.
        { 2, 18, 32, 0 }, { 3, 20, 32, 0 }, { 6, 22, 32, 0 }, { 7, 24, 32, 0 }, { 8, 34, 32, 0 },
        { 12, 144, 256, 0 }, { 13, 176, 256, 0 }, { 14, 210, 256, 208 },
    };

    public void Dispose() => _folder.Dispose();

    [Theory, MemberData(nameof(Types))]
    public void Each_type_of_block_gives_the_results_of_its_numbers(uint type, int bytes, int elements, int scale)
    {
        foreach (var rows in (int[])[96, 41])
        {
            using var file = Open([(type, bytes, elements, scale, rows)]);
            Check(file, ["x0"]);
        }
    }

    [Fact]
    public void Matrices_of_different_types_are_joined()
    {
        using var file = Open([
            (12, 144, 256, 0, 40), (12, 144, 256, 0, 24), (14, 210, 256, 208, 33), (2, 18, 32, 0, 7), (8, 34, 32, 0, 20),
        ]);
        Check(file, ["x0", "x1"]);
        Check(file, ["x0", "x1", "x2"]);
        Check(file, ["x3", "x0"]);
        Check(file, ["x4", "x3", "x2"]);
    }

    [Fact]
    public void Plain_numbers_have_no_codes()
    {
        File.WriteAllBytes(_folder.At("plain.gguf"), GgufBytes.Small().Build());
        using var file = GgufFile.Open(_folder.At("plain.gguf"));
        Assert.Null(file.ReadCodes("model.layers.0.mlp.down_proj.weight"));
        Assert.Null(file.ReadCodes("model.norm.weight"));
        Assert.Null(file.ReadCodes("nothing"));
    }

    /// <summary>SmolLM2's queries and keys, whose rows a GGUF file keeps in another order.</summary>
    [Fact]
    public void Rows_come_in_hugging_faces_order()
    {
        using var scope = NewDisposeScope();
        using var file = GgufFile.Open(SharedFiles.At("models", "smollm2-135m-instruct", "SmolLM2-135M-Instruct.Q4_1.gguf"));
        Check(file, ["model.layers.3.self_attn.q_proj.weight", "model.layers.3.self_attn.k_proj.weight",
            "model.layers.3.self_attn.v_proj.weight"]);
    }

    // Compares the joined matrices with panels of their numbers.
    private static void Check(GgufFile file, string[] names)
    {
        using var scope = NewDisposeScope();
        using var crew = new WorkCrew(2);
        var numbers = cat([.. names.Select(name => file.Read(name, ScalarType.Float32, CPU))], 0);
        using var quantized = QuantizedPanels.Pack([.. names.Select(name => file.ReadCodes(name)!)], crew);
        using var exact = PackedTensor.Matrix(numbers, crew);
        Assert.Equal(PanelType.Quantized, quantized.Type);
        Assert.Equal(numbers.data<float>().ToArray(), PackedTensor.ToTensor(quantized).data<float>().ToArray());

        foreach (var count in (int[])[1, 2, 3, 5, 8, 13])
        {
            using var rows = new PackedRows();
            var x = rand(count, numbers.shape[1]) - 0.5;
            rows.Begin(HostMemory.Floats(x), count, (int)numbers.shape[1]);
            for (var block = 0; block < rows.Blocks; block++) rows.PackBlock(block);
            // Behind the results lie numbers that nobody may change.
            Tensor Results(PanelMatrix matrix)
            {
                var y = full([count, matrix.Outputs + 3], 7f);
                matrix.Multiply(rows, HostMemory.Floats(y), matrix.Outputs + 3, 0, matrix.Panels);
                return y;
            }
            var results = Results(quantized);
            Assert.Equal(Results(exact).data<float>().ToArray(), results.data<float>().ToArray());
            Assert.True(results.narrow(1, quantized.Outputs, 3).eq(7).all().item<bool>());
        }
    }

    // A file with tensors x0, x1, ... of random blocks.
    private GgufFile Open((uint Type, int Bytes, int Elements, int Scale, int Rows)[] tensors)
    {
        var random = new Random(5);
        var bytes = GgufBytes.Small();
        foreach (var ((type, size, elements, scale, rows), i) in tensors.Select((tensor, i) => (tensor, i)))
        {
            var data = new byte[rows * Columns / elements * size];
            random.NextBytes(data);
            for (var at = 0; at < data.Length; at += size)
            {
                // Random bits may be an infinite scale.
                BitConverter.TryWriteBytes(data.AsSpan(at + scale), (Half)(random.NextDouble() * 0.1));
                if (type is 3 or 7 or 12 or 13) BitConverter.TryWriteBytes(data.AsSpan(at + 2), (Half)(random.NextDouble() - 0.5));
            }
            bytes.Tensor($"x{i}", [Columns, (ulong)rows], type, data);
        }
        var path = _folder.At($"{Guid.NewGuid():N}.gguf");
        File.WriteAllBytes(path, bytes.Build());
        return GgufFile.Open(path);
    }
}
