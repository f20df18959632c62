using Koala.Lab.Checkpoints;
using Koala.Lab.Checkpoints.Safetensors;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Checkpoints;

public sealed class ShardedWeightsTests : IDisposable
{
    private const string Index = "model.safetensors.index.json";
    private readonly TemporaryFolder _folder = new();

    public ShardedWeightsTests()
    {
        using var scope = NewDisposeScope();
        SafetensorsWriter.Write(_folder.At("1.safetensors"), [new("a", full([2, 3], 1f)), new("b", full([4], 2f))]);
        SafetensorsWriter.Write(_folder.At("2.safetensors"), [new("c", full([5], 3f, ScalarType.BFloat16))]);
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Tensors_of_all_shards_are_read_under_one_list()
    {
        using var sharded = Open("""{"metadata":{"total_size":50},"weight_map":""" +
            """{"a":"1.safetensors","b":"1.safetensors","c":"2.safetensors"}}""");
        Assert.Equal(["a", "b", "c"], sharded.Tensors.Keys.Order());
        Assert.Equal(ScalarType.BFloat16, sharded.Tensors["c"].Dtype);
        using var b = sharded.Read("b", ScalarType.Float32, CPU);
        using var c = sharded.Read("c", ScalarType.Float32, CPU);
        Assert.Equal([2f, 2f, 2f, 2f], b.data<float>().ToArray());
        Assert.Equal([3f, 3f, 3f, 3f, 3f], c.data<float>().ToArray());
        Assert.Contains("'d'", Assert.Throws<KoalaException>(() => sharded.Read("d", ScalarType.Float32, CPU)).Fault);
    }

    [Fact]
    public void A_tensor_that_the_index_forgets_is_read_unless_two_shards_have_it()
    {
        const string Forgetful = """{"weight_map":{"a":"1.safetensors","c":"2.safetensors"}}""";
        using (var sharded = Open(Forgetful))
        using (var b = sharded.Read("b", ScalarType.Float32, CPU))
            Assert.Equal([2f, 2f, 2f, 2f], b.data<float>().ToArray());
        using (var scope = NewDisposeScope())
            SafetensorsWriter.Write(_folder.At("2.safetensors"), [new("b", full([4], 5f)), new("c", full([5], 3f))]);
        var e = Assert.Throws<KoalaException>(() => Open(Forgetful));
        Assert.Contains("does not list tensor 'b', which is in 2.safetensors and in 1.safetensors", e.Fault);
        using var named = Open("""{"weight_map":{"a":"1.safetensors","b":"2.safetensors","c":"2.safetensors"}}""");
        using var fromSecond = named.Read("b", ScalarType.Float32, CPU);
        Assert.Equal(5f, fromSecond[0].item<float>());
    }

    [Fact]
    public void A_missing_shard_is_named()
    {
        var e = Assert.Throws<KoalaException>(() =>
            Open("""{"weight_map":{"a":"1.safetensors","b":"1.safetensors","c":"3.safetensors"}}"""));
        Assert.Equal(_folder.At("3.safetensors"), e.Where);
        Assert.Contains("is missing", e.Fault);
    }

    [Fact]
    public void A_broken_shard_is_named()
    {
        File.WriteAllBytes(_folder.At("2.safetensors"), [1, 2, 3]);
        var e = Assert.Throws<KoalaException>(() =>
            Open("""{"weight_map":{"a":"1.safetensors","b":"1.safetensors","c":"2.safetensors"}}"""));
        Assert.StartsWith(_folder.At("2.safetensors"), e.Where);
    }

    [Theory]
    [InlineData("in the index and not in its shard",
        """{"weight_map":{"a":"1.safetensors","b":"1.safetensors","c":"2.safetensors","d":"2.safetensors"}}""",
        "'d' is in 2.safetensors")]
    [InlineData("in another shard than the index says",
        """{"weight_map":{"a":"1.safetensors","b":"2.safetensors","c":"2.safetensors"}}""", "'b' is in 2.safetensors")]
    [InlineData("above the folder", """{"weight_map":{"a":"../1.safetensors"}}""", "without folders")]
    [InlineData("the folder above", """{"weight_map":{"a":".."}}""", "without folders")]
    [InlineData("the folder itself", """{"weight_map":{"a":"."}}""", "without folders")]
    [InlineData("an absolute path", """{"weight_map":{"a":"/etc/passwd"}}""", "without folders")]
    [InlineData("a path of Windows", """{"weight_map":{"a":"..\\1.safetensors"}}""", "without folders")]
    [InlineData("a drive", """{"weight_map":{"a":"C:1.safetensors"}}""", "without folders")]
    [InlineData("a zero in the name", """{"weight_map":{"a":"1.safetensors\u0000"}}""", "without folders")]
    [InlineData("no name", """{"weight_map":{"a":""}}""", "without folders")]
    [InlineData("a number for a name", """{"weight_map":{"a":1}}""", "without folders")]
    [InlineData("a tensor twice", """{"weight_map":{"a":"1.safetensors","a":"2.safetensors"}}""", "twice")]
    [InlineData("half a surrogate pair", """{"weight_map":{"\ud800":"1.safetensors"}}""", "surrogate")]
    [InlineData("no map", """{"metadata":{}}""", "weight_map")]
    [InlineData("a list for a map", """{"weight_map":[]}""", "weight_map")]
    [InlineData("not an object", "[]", "not a JSON object")]
    [InlineData("not JSON", "{", "not valid JSON")]
    [InlineData("empty", "", "not valid JSON")]
    public void A_wrong_index_is_one_error(string name, string json, string fault)
    {
        var e = Assert.Throws<KoalaException>(() => Open(json));
        Assert.True(e.Message.Contains(fault), $"{name}: {e.Message}");
        Assert.DoesNotContain('\n', e.Message);
    }

    private ShardedWeights Open(string index)
    {
        File.WriteAllText(_folder.At(Index), index);
        return ShardedWeights.Open(_folder.At(Index));
    }
}
