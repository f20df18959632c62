using Koala.Lab.Checkpoints;
using Koala.Lab.Checkpoints.Safetensors;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Checkpoints;

public sealed class TensorCheckTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly SafetensorsFile _file;

    public TensorCheckTests()
    {
        using var scope = NewDisposeScope();
        SafetensorsWriter.Write(_folder.At("f"), [new("a", zeros(2, 3)), new("b", zeros(4)), new("c", zeros([]))]);
        _file = SafetensorsFile.Open(_folder.At("f"));
    }

    public void Dispose()
    {
        _file.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void Exactly_what_is_needed_passes() =>
        TensorCheck.Check(_file, new Dictionary<string, long[]> { ["a"] = [2, 3], ["b"] = [4], ["c"] = [] });

    [Fact]
    public void An_optional_tensor_may_be_missing() =>
        TensorCheck.Check(_file, new Dictionary<string, long[]> { ["a"] = [2, 3], ["b"] = [4], ["d"] = [9] }, ["c", "d", "e"]);

    [Fact]
    public void The_shape_of_an_optional_tensor_counts_where_it_is_given() =>
        Assert.Contains("b [4] in place of [5]", Assert.Throws<KoalaException>(() =>
        TensorCheck.Check(_file, new Dictionary<string, long[]> { ["a"] = [2, 3], ["b"] = [5], ["c"] = [] }, ["b"])).Fault);

    [Fact]
    public void Missing_unexpected_and_wrongly_shaped_tensors_are_in_one_error()
    {
        var e = Assert.Throws<KoalaException>(() =>
            TensorCheck.Check(_file, new Dictionary<string, long[]> { ["a"] = [3, 2], ["b"] = [4], ["d"] = [1] }));
        Assert.Equal(_folder.At("f"), e.Where);
        Assert.EndsWith("1 missing (d); 1 unexpected (c); 1 wrongly shaped (a [2, 3] in place of [3, 2])", e.Fault);
    }

    [Fact]
    public void A_long_list_is_cut_and_counted()
    {
        var expected = Enumerable.Range(0, 100).ToDictionary(i => $"layer.{i}", _ => new long[] { 1 });
        var e = Assert.Throws<KoalaException>(() => TensorCheck.Check(_file, expected));
        Assert.Contains("100 missing (layer.0, ", e.Fault);
        Assert.Contains(" and 92 more)", e.Fault);
    }
}
