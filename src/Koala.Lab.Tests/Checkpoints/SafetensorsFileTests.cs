using System.Diagnostics;
using Koala.Lab.Checkpoints;
using Koala.Lab.Checkpoints.Safetensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Checkpoints;

public sealed class SafetensorsFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<ScalarType> Dtypes =>
        [ScalarType.Float64, ScalarType.Float32, ScalarType.Float16, ScalarType.BFloat16, ScalarType.Int64,
            ScalarType.Int32, ScalarType.Int16, ScalarType.Int8, ScalarType.Byte, ScalarType.Bool];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Dtypes))]
    public void Every_dtype_and_shape_is_read_as_it_was_written(ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        var path = _folder.At("model.safetensors");
        StateDict tensors =
        [
            new("matrix", (randn(5, 7) * 50).to(dtype)), new("scalar", ones([], dtype: dtype)),
            new("empty", zeros([3, 0, 2], dtype: dtype)),
            new("turned", arange(12).reshape(3, 4).to(dtype).t()),
        ];
        SafetensorsWriter.Write(path, tensors);

        using var file = SafetensorsFile.Open(path);
        Assert.Equal(tensors.Count, file.Tensors.Count);
        foreach (var (name, tensor) in tensors)
        {
            Assert.Equal(dtype, file.Tensors[name].Dtype);
            Assert.Equal(tensor.shape, file.Tensors[name].Shape);
            using var read = file.Read(name, dtype, CPU);
            Assert.Equal(tensor.shape, read.shape);
            Assert.Equal(tensor.contiguous().bytes.ToArray(), read.bytes.ToArray());
        }
    }

    [Fact]
    public void Every_bfloat16_bit_pattern_is_kept()
    {
        using var scope = NewDisposeScope();
        var path = _folder.At("model.safetensors");
        var bits = arange(65536).to(ScalarType.Int16);
        var numbers = empty(65536, dtype: ScalarType.BFloat16);
        bits.bytes.CopyTo(numbers.bytes);
        SafetensorsWriter.Write(path, [new("x", numbers)]);
        using var file = SafetensorsFile.Open(path);
        using var read = file.Read("x", ScalarType.BFloat16, CPU);
        Assert.Equal(bits.bytes.ToArray(), read.bytes.ToArray());
    }

    [Fact]
    public void A_tensor_longer_than_one_read_is_read_completely()
    {
        using var scope = NewDisposeScope();
        var path = _folder.At("model.safetensors");
        var numbers = arange(3_000_000, dtype: ScalarType.Float64);
        SafetensorsWriter.Write(path, [new("x", numbers)]);
        using var file = SafetensorsFile.Open(path);
        using var read = file.Read("x", ScalarType.Float64, CPU);
        Assert.True(numbers.eq(read).all().item<bool>());
    }

    [Fact]
    public void Values_are_those_of_the_bytes_in_little_endian()
    {
        using var file = Open(SafetensorsBytes.File("""{"x":{"dtype":"I16","shape":[2],"data_offsets":[0,4]}}""", 4));
        using var read = file.Read("x", ScalarType.Int64, CPU);
        Assert.Equal([0x0100, 0x0302], read.data<long>().ToArray());
    }

    [Fact]
    public void A_bool_of_any_byte_but_0_is_true()
    {
        using var file = Open(SafetensorsBytes.File("""{"x":{"dtype":"BOOL","shape":[4],"data_offsets":[0,4]}}""", 4));
        using var read = file.Read("x", ScalarType.Bool, CPU);
        Assert.Equal([0, 1, 1, 1], read.bytes.ToArray());
    }

    [Fact]
    public void Reading_converts_to_the_dtype_that_is_asked_for()
    {
        using var file = Open(SafetensorsBytes.File("""{"x":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}""", 3));
        using var read = file.Read("x", ScalarType.BFloat16, CPU);
        Assert.Equal(ScalarType.BFloat16, read.dtype);
        Assert.Equal([0f, 1f, 2f], read.to(ScalarType.Float32).data<float>().ToArray());
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    public void What_is_read_belongs_to_the_callers_scope_and_nothing_else_is_left(ScalarType dtype)
    {
        using var file = Open(SafetensorsBytes.Small());
        var live = DisposeScopeManager.Statistics.TensorStatistics;
        var before = live.ThreadTotalLiveCount;
        var read = new List<Tensor>();
        using (NewDisposeScope())
        {
            foreach (var name in file.Tensors.Keys) read.Add(file.Read(name, dtype, CPU));
            Assert.Equal(before + read.Count, live.ThreadTotalLiveCount);
        }
        Assert.True(read.TrueForAll(tensor => tensor.IsInvalid));
        Assert.Equal(before, live.ThreadTotalLiveCount);
    }

    [Fact]
    public void Metadata_are_kept()
    {
        using var file = Open(SafetensorsBytes.Small());
        Assert.Equal(KeyValuePair.Create("by", "händ"), Assert.Single(file.Metadata));
    }

    [Fact]
    public void An_unknown_name_is_one_error()
    {
        using var file = Open(SafetensorsBytes.Small());
        Assert.Contains("'lm_head'", Assert.Throws<KoalaException>(() => file.Read("lm_head", ScalarType.Float32, CPU)).Fault);
    }

    [Fact]
    public void A_missing_file_is_one_error() =>
        Assert.Equal(_folder.At("none"), Assert.Throws<KoalaException>(() => SafetensorsFile.Open(_folder.At("none"))).Where);

    [Fact]
    public void A_folder_where_a_file_is_expected_is_one_error() =>
        Assert.Throws<KoalaException>(() => SafetensorsFile.Open(_folder.Path));

    [Fact]
    public void A_device_where_a_file_is_expected_is_one_error()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "devices are files on Linux");
        Assert.Throws<KoalaException>(() => SafetensorsFile.Open("/dev/null"));
        Assert.Throws<KoalaException>(() => SafetensorsFile.Open("/dev/zero"));
    }

    [Fact]
    public void A_file_cut_short_while_it_is_open_is_one_error()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "other systems lock open files");
        using var file = Open(SafetensorsBytes.Small());
        using (var process = Process.Start("truncate", ["--size=20", file.Path])) process.WaitForExit();
        var e = Assert.Throws<KoalaException>(() => file.Read("a", ScalarType.Float32, CPU));
        Assert.Contains("tensor 'a', byte", e.Where);
        Assert.Contains("shorter", e.Fault);
    }

    [Fact]
    public void A_header_of_100_000_tensors_opens_within_seconds()
    {
        var path = _folder.At("model.safetensors");
        var header = "{" + string.Join(",", Enumerable.Range(0, 100_000).Select(i => $$"""
            "model.layers.{{i}}.self_attn.q_proj.weight":{"dtype":"F32","shape":[16,8],"data_offsets":[{{512L * i}},{{512L * (i + 1)}}]}
            """)) + "}";
        using (var stream = File.Create(path))
        {
            stream.Write(SafetensorsBytes.File(header));
            // The file is sparse: its data take no space on the disk.
            stream.SetLength(stream.Length + 512 * 100_000);
        }
        // This takes 0.3 s on an idle machine. The best of several times counts, because a busy machine says nothing
        // about the code.
        var best = double.MaxValue;
        for (var i = 0; i < 5 && best > 3; i++)
        {
            var clock = Stopwatch.StartNew();
            using var file = SafetensorsFile.Open(path);
            Assert.Equal(100_000, file.Tensors.Count);
            best = Math.Min(best, clock.Elapsed.TotalSeconds);
        }
        Assert.InRange(best, 0, 3);
    }

    private SafetensorsFile Open(byte[] bytes)
    {
        var path = _folder.At("model.safetensors");
        File.WriteAllBytes(path, bytes);
        return SafetensorsFile.Open(path);
    }
}
