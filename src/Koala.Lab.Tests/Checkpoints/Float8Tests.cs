using Koala.Lab.Checkpoints;
using Koala.Lab.Checkpoints.Safetensors;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Checkpoints;

public sealed class Float8Tests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    // From the format's description: the largest number, the smallest normal and subnormal ones, 1, -1.5, NaN.
    [Theory]
    [InlineData(0x7e, 448f), InlineData(0x08, 0.015625f), InlineData(0x01, 0.001953125f), InlineData(0x07, 0.013671875f)]
    [InlineData(0x38, 1f), InlineData(0xbc, -1.5f), InlineData(0x00, 0f), InlineData(0x7f, float.NaN), InlineData(0xff, float.NaN)]
    public void A_byte_is_its_number(int bits, float expected)
    {
        using var scope = NewDisposeScope();
        Assert.Equal(expected, Float8.Decode(tensor((byte[])[(byte)bits])).to(ScalarType.Float32).item<float>());
    }

    [Theory]
    [InlineData("weight_scale_inv", 2, 3), InlineData("weight_scale", 130, 1), InlineData("weight_scale", 1, 1)]
    public void Weights_are_multiplied_by_their_scales(string name, int rows, int columns)
    {
        using var scope = NewDisposeScope();
        var bytes = randint(0, 0x7e, [130, 300], ScalarType.Byte);
        var scales = rand(rows, columns) + 0.5;
        Write(bytes, name, scales);
        using var source = ScaledTensors.Wrap(SafetensorsFile.Open(_folder.At("x.safetensors")));
        Assert.Equal(["x.weight"], source.Tensors.Keys);
        var read = source.Read("x.weight", ScalarType.Float32, CPU);
        var exact = Float8.Decode(bytes).to(ScalarType.Float32);
        foreach (var (row, column) in (ReadOnlySpan<(int, int)>)[(0, 0), (127, 127), (128, 128), (129, 299), (5, 256)])
        {
            var scale = scales[rows == 130 ? row : rows == 2 ? row / 128 : 0, columns == 3 ? column / 128 : 0].item<float>();
            Assert.Equal(exact[row, column].item<float>() * scale, read[row, column].item<float>());
        }
    }

    [Fact]
    public void Missing_scales_and_scales_of_another_shape_are_errors()
    {
        using var scope = NewDisposeScope();
        Write(zeros([130, 300], ScalarType.Byte), "other", ones(1));
        using (var source = ScaledTensors.Wrap(SafetensorsFile.Open(_folder.At("x.safetensors"))))
            Assert.Contains("weight_scale_inv", Fault(source));
        Write(zeros([130, 300], ScalarType.Byte), "weight_scale", ones(7, 3));
        using (var source = ScaledTensors.Wrap(SafetensorsFile.Open(_folder.At("x.safetensors"))))
            Assert.Contains("[7,3]", Fault(source).Replace(" ", ""));
    }

    private static string Fault(ITensorSource source) =>
        Assert.Throws<KoalaException>(() => source.Read("x.weight", ScalarType.Float32, CPU)).Fault;

    // The writer has no fp8, so the header's name of the type is changed in the bytes.
    private void Write(Tensor bytes, string scaleName, Tensor scales)
    {
        var path = _folder.At("x.safetensors");
        SafetensorsWriter.Write(path, StateDict.Create([new("x.weight", bytes), new($"x.{scaleName}", scales)]));
        var file = File.ReadAllBytes(path);
        var length = (int)BitConverter.ToUInt64(file);
        var header = System.Text.Encoding.UTF8.GetString(file, 8, length).Replace("\"U8\"", $"\"{Float8.Name}\"").TrimEnd();
        header = header.PadRight((header.Length + 7) / 8 * 8);
        File.WriteAllBytes(path,
            [.. BitConverter.GetBytes((ulong)header.Length), .. System.Text.Encoding.UTF8.GetBytes(header), .. file[(8 + length)..]]);
    }
}
