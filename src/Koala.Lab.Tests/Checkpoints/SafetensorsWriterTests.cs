using System.Buffers.Binary;
using System.Text;
using Koala.Lab.Checkpoints;
using Koala.Lab.Checkpoints.Safetensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Checkpoints;

public sealed class SafetensorsWriterTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_bytes_are_those_of_the_format()
    {
        using var x = full(2, 1.5f);
        using var flag = ones(1, dtype: ScalarType.Bool);
        SafetensorsWriter.Write(_folder.At("f"), [new("flag", flag), new("x", x)],
            new Dictionary<string, string> { ["step"] = "7" });
        var header = """{"__metadata__":{"step":"7"},"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"flag":""" +
            """{"dtype":"BOOL","shape":[1],"data_offsets":[8,9]}}""";
        header = header.PadRight((header.Length + 7) / 8 * 8);
        var bytes = File.ReadAllBytes(_folder.At("f"));
        Assert.Equal(header.Length, BinaryPrimitives.ReadInt64LittleEndian(bytes));
        Assert.Equal(header, Encoding.UTF8.GetString(bytes.AsSpan(8, header.Length)));
        Assert.Equal([0, 0, 0xc0, 0x3f, 0, 0, 0xc0, 0x3f, 1], bytes[(8 + header.Length)..]);
    }

    [Fact]
    public void The_same_tensors_in_another_order_give_the_same_bytes()
    {
        using var scope = NewDisposeScope();
        StateDict tensors = [new("b", randn(3)), new("a", randn(2, 2)), new("c", arange(4)),
            new("d", zeros(3, dtype: ScalarType.Byte))];
        var metadata = new Dictionary<string, string> { ["one"] = "1", ["two"] = "2" };
        SafetensorsWriter.Write(_folder.At("f"), tensors, metadata);
        SafetensorsWriter.Write(_folder.At("g"), [.. tensors.Reverse()], metadata.Reverse().ToDictionary());
        Assert.Equal(File.ReadAllBytes(_folder.At("f")), File.ReadAllBytes(_folder.At("g")));
    }

    [Fact]
    public void Every_tensor_is_aligned_to_its_number()
    {
        using var scope = NewDisposeScope();
        SafetensorsWriter.Write(_folder.At("f"),
            [new("odd", zeros(3, dtype: ScalarType.Byte)), new("half", zeros(3, dtype: ScalarType.BFloat16)),
                new("single", zeros(3)), new("long", zeros(3, dtype: ScalarType.Int64))]);
        var bytes = File.ReadAllBytes(_folder.At("f"));
        var header = SafetensorsHeader.Read("f", bytes, bytes.Length);
        Assert.All(header.Tensors.Values, t => Assert.Equal(0, header.Offset(t.Name) % SafetensorsDtypes.Size(t.Dtype!.Value)));
    }

    [Fact]
    public void Names_and_metadata_of_any_letters_survive_a_round_trip()
    {
        using var x = zeros(1);
        const string odd = "a\"\\\n\u0001é𝄞 b";
        SafetensorsWriter.Write(_folder.At("f"), [new(odd, x)], new Dictionary<string, string> { [odd] = odd });
        using var file = SafetensorsFile.Open(_folder.At("f"));
        Assert.Equal([odd], file.Tensors.Keys);
        Assert.Equal(KeyValuePair.Create(odd, odd), Assert.Single(file.Metadata));
    }

    [Fact]
    public void A_file_without_tensors_is_a_file()
    {
        SafetensorsWriter.Write(_folder.At("f"), []);
        using var file = SafetensorsFile.Open(_folder.At("f"));
        Assert.Empty(file.Tensors);
    }

    [Fact]
    public void A_parameter_and_a_view_are_written_as_their_values()
    {
        using var scope = NewDisposeScope();
        var parameter = arange(6, dtype: ScalarType.Float32).reshape(2, 3).requires_grad_();
        SafetensorsWriter.Write(_folder.At("f"), [new("p", parameter), new("row", parameter[1])]);
        using var file = SafetensorsFile.Open(_folder.At("f"));
        using var row = file.Read("row", ScalarType.Float32, CPU);
        Assert.Equal([3f, 4f, 5f], row.data<float>().ToArray());
        Assert.False(row.requires_grad);
    }

    [Fact]
    public void Writing_leaves_no_tensor_behind()
    {
        using var x = randn(4, 5);
        using var turned = x.t();
        var live = DisposeScopeManager.Statistics.TensorStatistics;
        var before = live.ThreadTotalLiveCount;
        SafetensorsWriter.Write(_folder.At("f"), [new("x", x), new("turned", turned)]);
        Assert.Equal(before, live.ThreadTotalLiveCount);
    }

    [Fact]
    public void A_tensor_that_cannot_be_written_leaves_the_old_file()
    {
        File.WriteAllText(_folder.At("f"), "old");
        using var complex = zeros(2, dtype: ScalarType.ComplexFloat32);
        using var x = zeros(1);
        Assert.Throws<ArgumentException>(() => SafetensorsWriter.Write(_folder.At("f"), [new("c", complex)]));
        Assert.Throws<ArgumentException>(() => SafetensorsWriter.Write(_folder.At("f"), [new("x", x), new("x", x)]));
        Assert.Throws<ArgumentException>(() => SafetensorsWriter.Write(_folder.At("f"), [new("__metadata__", x)]));
        Assert.Equal("old", File.ReadAllText(_folder.At("f")));
        Assert.Single(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Fact]
    public void A_folder_that_cannot_be_written_is_one_error()
    {
        File.WriteAllText(_folder.At("file"), "");
        Assert.Throws<KoalaException>(() => SafetensorsWriter.Write(_folder.At("file", "f"), []));
    }
}
