using System.Text;
using Koala.Lab.Checkpoints;
using Koala.Lab.Checkpoints.Pickles;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Checkpoints;

/// <summary>Files of torch.save are read, in both layouts; the files in golden/pickles are made by make.py there.</summary>
public sealed class PickleFileTests : IDisposable
{
    private const int Seed = 20_261_129;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("tensors.pt")]
    [InlineData("tensors-old.pt")]
    public void Tensors_are_read_with_their_types_strides_and_offsets(string name) => Check(Golden.At("pickles", name));

    [Fact]
    public void What_PyTorch_writes_on_this_machine_is_read()
    {
        SystemPython.Run("torch", Golden.At("pickles", "make.py"), _folder.Path);
        Check(_folder.At("tensors.pt"));
        Check(_folder.At("tensors-old.pt"));
    }

    [Fact]
    public void A_target_in_pickled_shards_answers_as_in_safetensors()
    {
        var nano = ShippedModels.Folder("koala-nano");
        SystemPython.Run("torch", "-c", """
            import json, struct, sys, torch
            source, folder = sys.argv[1:]
            with open(f'{source}/model.safetensors', 'rb') as file:
                header = json.loads(file.read(struct.unpack('<Q', file.read(8))[0]))
                data = file.read()
            tensors = {name: torch.frombuffer(bytearray(data[slice(*x['data_offsets'])]), dtype=torch.bfloat16).view(x['shape'])
                       for name, x in header.items() if name != '__metadata__'}
            names = sorted(tensors)
            parts = {'pytorch_model-00001-of-00002.bin': names[::2], 'pytorch_model-00002-of-00002.bin': names[1::2]}
            for file, part in parts.items(): torch.save({name: tensors[name] for name in part}, f'{folder}/{file}')
            index = {name: file for file, part in parts.items() for name in part}
            json.dump({'weight_map': index}, open(f'{folder}/pytorch_model.bin.index.json', 'w'))
            """, nano, _folder.Path);
        foreach (var file in Directory.GetFiles(nano).Where(file => !file.EndsWith("model.safetensors", StringComparison.Ordinal)))
            File.Copy(file, _folder.At(Path.GetFileName(file)));
        using var target = Target.Load(_folder.Path);
        using var scope = NewDisposeScope();
        using var cache = target.NewCache();
        using var expectedCache = ShippedModels.Nano.NewCache();
        int[] tokens = [5, 6, 7, 8];
        Assert.Equal(0, Golden.Distance(ShippedModels.Nano.Append(expectedCache, tokens), target.Append(cache, tokens)));
    }

    [Fact]
    public void Reading_leaves_no_tensor_behind()
    {
        using var file = PickleFile.Open(Golden.At("pickles", "tensors.pt"));
        var before = Tensor.TotalCount;
        foreach (var name in file.Tensors.Keys) file.Read(name, ScalarType.Float32, CPU).Dispose();
        Assert.Equal(before, Tensor.TotalCount);
    }

    [Theory]
    [InlineData("cos\nsystem\n", "names 'os.system'")]
    [InlineData("c__builtin__\neval\n", "names '__builtin__.eval'")]
    [InlineData("ctorch\nload\n", "names 'torch.load'")]
    [InlineData("\u008c\u0008builtins\u008c\u0004exec\u0093", "names 'builtins.exec'")]
    [InlineData("ccollections\nOrderedDict\nX\u0001\0\0\0a\u0085R", "calls collections.OrderedDict with other arguments")]
    [InlineData("K\u0001)R", "calls what is no function")]
    [InlineData("ccollections\nOrderedDict\n)\u0081", "has the instruction 0x81")]
    [InlineData("(icollections\nOrderedDict\n", "has the instruction 0x69")]
    [InlineData("K\u0001}b", "sets the state of an object")]
    [InlineData("X\u0005\0\0\0helloQ", "refers to something outside")]
    [InlineData("h\u0005", "refers to value 5")]
    [InlineData("X\u00ff\u00ff\u00ff\u007f", "ends within a value")]
    [InlineData("B\u00ff\u00ff\u00ff\u00ff", "ends within a value")]
    [InlineData("t", "ends a list that never began")]
    [InlineData("K\u0001K\u0002", "ends with 2 values")]
    public void A_pickle_with_anything_but_tensors_is_refused_before_anything_happens(string instructions, string fault)
    {
        File.WriteAllBytes(_folder.At("x.pt"), OldFile("\u0080\u0002" + instructions + "."));
        Assert.Contains(fault, Refusal(_folder.At("x.pt")).Fault);
    }

    [Fact]
    public void Deep_and_branching_nesting_is_refused()
    {
        File.WriteAllBytes(_folder.At("deep.pt"), OldFile("\u0080\u0002" + new string(']', 100_000) + new string('a', 99_999) + "."));
        Assert.Contains("nests", Refusal(_folder.At("deep.pt")).Fault);
        // Each list names the one before it twice: the last one stands for 2^24 lists.
        var lists = string.Concat(Enumerable.Range(0, 24).Select(i => $"]q{(char)(i + 1)}h{(char)i}ah{(char)i}a"));
        File.WriteAllBytes(_folder.At("bomb.pt"), OldFile($"\u0080\u0002(]q\0{lists}t."));
        Assert.Contains("nests", Refusal(_folder.At("bomb.pt")).Fault);
    }

    [Theory, Trait(PromptSample.Category, PromptSample.Sampled)]
    [InlineData(true)]
    [InlineData(false)]
    public void Every_truncation_of_a_small_file_is_refused(bool old)
    {
        var bytes = File.ReadAllBytes(Golden.At("pickles", old ? "tensors-old.pt" : "tensors.pt"));
        foreach (var length in PromptSample.Spread([.. Enumerable.Range(0, bytes.Length)], PromptSample.Count(int.MaxValue, 500)))
        {
            Mutations.Write(_folder.At("mutant.pt"), bytes[..length]);
            Refusal(_folder.At("mutant.pt"));
        }
    }

    [Theory, Trait(PromptSample.Category, PromptSample.Sampled)]
    [InlineData("tensors.pt")]
    [InlineData("tensors-old.pt")]
    public void A_damaged_file_is_read_or_refused(string name) =>
        Mutations.Try(File.ReadAllBytes(Golden.At("pickles", name)), Seed, bytes =>
        {
            Mutations.Write(_folder.At("mutant.pt"), bytes);
            using var scope = NewDisposeScope();
            using var file = WeightFile.Open(_folder.At("mutant.pt"));
            foreach (var (tensor, info) in file.Tensors)
                if (info.Dtype is { } dtype) file.Read(tensor, dtype, CPU);
        }, PromptSample.Count(100_000, 1000));

    private static KoalaException Refusal(string path)
    {
        var fault = Assert.Throws<KoalaException>(() => WeightFile.Open(path));
        Assert.DoesNotContain('\n', fault.Message);
        Assert.StartsWith(path, fault.Where);
        return fault;
    }

    private static void Check(string path)
    {
        using var scope = NewDisposeScope();
        using var file = WeightFile.Open(path);
        (string Name, ScalarType Dtype, long[] Shape, double[] Values)[] expected =
        [
            ("float64", ScalarType.Float64, [2, 3], [0, 1, 2, 3, 4, 5]), ("float32", ScalarType.Float32, [2, 3], [0, 1, 2, 3, 4, 5]),
            ("float16", ScalarType.Float16, [2, 3], [0, 1, 2, 3, 4, 5]), ("bfloat16", ScalarType.BFloat16, [2, 3], [0, 1, 2, 3, 4, 5]),
            ("int64", ScalarType.Int64, [2, 3], [0, 1, 2, 3, 4, 5]), ("int32", ScalarType.Int32, [2, 3], [0, 1, 2, 3, 4, 5]),
            ("int16", ScalarType.Int16, [2, 3], [0, 1, 2, 3, 4, 5]), ("int8", ScalarType.Int8, [2, 3], [0, 1, 2, 3, 4, 5]),
            ("uint8", ScalarType.Byte, [2, 3], [0, 1, 2, 3, 4, 5]), ("bool", ScalarType.Bool, [3], [1, 0, 1]),
            ("offset", ScalarType.Float32, [6], [6, 7, 8, 9, 10, 11]),
            ("transposed", ScalarType.Float32, [6, 4],
                [0, 6, 12, 18, 1, 7, 13, 19, 2, 8, 14, 20, 3, 9, 15, 21, 4, 10, 16, 22, 5, 11, 17, 23]),
            ("strided", ScalarType.Float32, [5], [1, 6, 11, 16, 21]), ("expanded", ScalarType.Float32, [4], [3, 3, 3, 3]),
            ("scalar", ScalarType.Float32, [], [7]), ("empty", ScalarType.Float32, [0, 3], []),
            ("parameter", ScalarType.Float32, [2], [2, 3]),
        ];
        string[] others = ["module.weight", "module.bias", "losses.2"];
        Assert.Equal([.. expected.Select(x => $"tensors.{x.Name}"), .. others], file.Tensors.Keys);
        foreach (var (name, dtype, shape, values) in expected)
        {
            Assert.Equal(dtype, file.Tensors[$"tensors.{name}"].Dtype);
            Assert.Equal(shape, file.Tensors[$"tensors.{name}"].Shape);
            var read = file.Read($"tensors.{name}", ScalarType.Float64, CPU);
            Assert.Equal(shape, read.shape);
            Assert.Equal(values, values.Length == 0 ? [] : read.data<double>().ToArray());
        }
        Assert.Equal([0d, 1d], file.Read("module.weight", ScalarType.Float64, CPU).data<double>().ToArray());
        Assert.Equal(9, file.Read("losses.2", ScalarType.Float64, CPU)[0].item<double>());
    }

    // The older stream with an object of one's own and no storages. Characters stand for bytes.
    private static byte[] OldFile(string pickle) => Encoding.Latin1.GetBytes(
        "\u0080\u0002\u008a\u000al\u00fc\u009cF\u00f9 j\u00a8P\u0019.\u0080\u0002M\u00e9\u0003."
        + "\u0080\u0002}(X\r\0\0\0little_endian\u0088u." + pickle + "\u0080\u0002].");
}
