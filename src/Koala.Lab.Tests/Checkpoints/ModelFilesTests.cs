using Koala.Lab.Checkpoints;
using Koala.Lab.Checkpoints.Safetensors;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Checkpoints;

public sealed class ModelFilesTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("koala-mini", 9_902_336)]
    [InlineData("koala-nano", 217_664)]
    public void The_shipped_targets_open(string name, long weights)
    {
        using var folder = ModelFiles.Open(ShippedModels.Folder(name));
        Assert.Equal(name, folder.Name);
        Assert.Equal(weights, folder.Tensors.Tensors.Values.Sum(t => t.Count));
        Assert.All(folder.Tensors.Tensors.Values, t => Assert.Equal(ScalarType.BFloat16, t.Dtype));
        Assert.Equal([0, 2], folder.Config.EndOfSequenceIds);
        Assert.Equal(ScalarType.BFloat16, folder.Config.Dtype);
    }

    [Fact]
    public void A_folder_is_named_without_its_last_slash()
    {
        using var folder = ModelFiles.Open(ShippedModels.Folder("koala-nano") + "/");
        Assert.Equal("koala-nano", folder.Name);
    }

    [Fact]
    public void A_sharded_folder_opens()
    {
        Copy("config.json");
        using (var x = zeros(1)) SafetensorsWriter.Write(_folder.At("1.safetensors"), [new("x", x)]);
        File.WriteAllText(_folder.At("model.safetensors.index.json"), """{"weight_map":{"x":"1.safetensors"}}""");
        using var folder = ModelFiles.Open(_folder.Path);
        Assert.Equal(["x"], folder.Tensors.Tensors.Keys);
    }

    [Fact]
    public void A_missing_folder_is_one_error() => Assert.Contains("does not exist", Fault(_folder.At("none")));

    [Fact]
    public void No_name_at_all_is_one_error() => Assert.Contains("does not exist", Fault(""));

    [Fact]
    public void A_file_where_a_folder_is_expected_is_one_error()
    {
        File.WriteAllText(_folder.At("file"), "");
        Assert.Contains("4 bytes are expected", Fault(_folder.At("file")));
    }

    [Fact]
    public void A_folder_without_a_config_is_one_error() => Assert.Contains("no config.json", Fault(_folder.Path));

    [Fact]
    public void A_folder_without_weights_is_one_error()
    {
        Copy("config.json");
        Assert.Contains("neither", Fault(_folder.Path));
    }

    [Fact]
    public void Weights_that_are_no_file_of_PyTorch_are_one_error()
    {
        Copy("config.json");
        File.WriteAllText(_folder.At("pytorch_model.bin"), "");
        Assert.Contains("no file of torch.save", Assert.Throws<KoalaException>(() => ModelFiles.Open(_folder.Path)).Fault);
    }

    [Fact]
    public void A_config_of_megabytes_is_refused_without_reading_it()
    {
        File.WriteAllBytes(_folder.At("config.json"), new byte[2 << 20]);
        Assert.Contains("at most", Fault(_folder.Path));
    }

    [Fact]
    public void A_wrong_generation_config_is_one_error()
    {
        Copy("config.json");
        File.WriteAllText(_folder.At("generation_config.json"), "{");
        Assert.StartsWith(_folder.At("generation_config.json"),
            Assert.Throws<KoalaException>(() => ModelFiles.Open(_folder.Path)).Where);
    }

    private void Copy(string file) => File.Copy(Path.Combine(ShippedModels.Folder("koala-nano"), file), _folder.At(file));

    private static string Fault(string path) => Assert.Throws<KoalaException>(() => ModelFiles.Open(path)).Fault;
}
