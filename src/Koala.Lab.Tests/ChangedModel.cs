using System.Text.Json.Nodes;
using Koala.Lab.Checkpoints.Safetensors;
using static TorchSharp.torch;

namespace Koala.Lab.Tests;

/// <summary>Copies of koala-nano in which one thing is changed, as files of other origins have it.</summary>
internal static class ChangedModel
{
    private static readonly string s_nano = ShippedModels.Folder("koala-nano");

    /// <summary>Copies the model.</summary>
    /// <param name="folder">The folder of the copy, which does not exist yet.</param>
    /// <param name="config">Changes the config.</param>
    /// <param name="tensors">Returns the tensors of the copy; the model's own by default.</param>
    /// <returns>The folder.</returns>
    public static string Copy(
        string folder, Action<JsonObject>? config = null,
        Func<Dictionary<string, Tensor>, IEnumerable<KeyValuePair<string, Tensor>>>? tensors = null)
    {
        using var scope = NewDisposeScope();
        Directory.CreateDirectory(folder);
        foreach (var file in Directory.GetFiles(s_nano, "*.json")) File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        var json = JsonNode.Parse(File.ReadAllText(Path.Combine(s_nano, "config.json")))!.AsObject();
        config?.Invoke(json);
        File.WriteAllText(Path.Combine(folder, "config.json"), json.ToJsonString());
        using var source = SafetensorsFile.Open(Path.Combine(s_nano, "model.safetensors"));
        var own = source.Tensors.Keys.ToDictionary(name => name, name => source.Read(name, ScalarType.BFloat16, CPU));
        SafetensorsWriter.Write(Path.Combine(folder, "model.safetensors"), [.. tensors?.Invoke(own) ?? own]);
        return folder;
    }

    /// <summary>The tensors with one replaced or added.</summary>
    public static IEnumerable<KeyValuePair<string, Tensor>> With(this Dictionary<string, Tensor> tensors, string name, Tensor tensor)
    {
        tensors[name] = tensor;
        return tensors;
    }
}
