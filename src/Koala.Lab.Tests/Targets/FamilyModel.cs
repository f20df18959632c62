using System.IO.Hashing;
using System.Text;
using System.Text.Json.Nodes;
using Koala.Lab.Checkpoints;
using Koala.Lab.Checkpoints.Safetensors;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Targets;

/// <summary>Writes the models that <c>families.py</c> describes.</summary>
internal static class FamilyModel
{
    /// <summary>Writes config.json, model.safetensors and a tokenizer with a token for each id.</summary>
    public static void Write(string folder, JsonObject config, int seed)
    {
        var bytes = Encoding.UTF8.GetBytes(config.ToJsonString());
        File.WriteAllBytes(Path.Combine(folder, "config.json"), bytes);
        var parsed = ModelConfig.Parse(bytes, "config.json");
        var weights = TargetTensors.Expected(parsed, hasLmHead: parsed.TieWordEmbeddings != true)
            .ToDictionary(tensor => tensor.Key, tensor => Weight($"{tensor.Key}", tensor.Value, seed, parsed.NormsAddOne));
        SafetensorsWriter.Write(Path.Combine(folder, "model.safetensors"), StateDict.Create([.. weights]));
        var vocabulary = new JsonObject(Enumerable.Range(0, parsed.VocabularySize).Select(id =>
            KeyValuePair.Create($"{(char)(0x100 + id)}", (JsonNode?)id)));
        File.WriteAllText(Path.Combine(folder, "tokenizer_config.json"), "{}");
        File.WriteAllText(Path.Combine(folder, "tokenizer.json"), new JsonObject
        {
            ["added_tokens"] = new JsonArray(),
            ["pre_tokenizer"] = new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = false },
            ["decoder"] = new JsonObject { ["type"] = "ByteLevel" },
            ["model"] = new JsonObject { ["type"] = "BPE", ["vocab"] = vocabulary, ["merges"] = new JsonArray() },
        }.ToJsonString());
    }

    // The same numbers as in families.py.
    private static Tensor Weight(string name, long[] shape, int seed, bool addOne)
    {
        var start = Crc32.HashToUInt32(Encoding.UTF8.GetBytes($"{seed} {name}"));
        var numbers = new float[shape.Aggregate(1L, (count, size) => count * size)];
        var (scale, offset) = name.EndsWith("norm.weight", StringComparison.Ordinal) ? (0.5, addOne ? 0.0 : 1.0)
            : shape.Length == 1 ? (1, 0) : (Math.Sqrt(12.0 / shape[1]), 0);
        for (var i = 0; i < numbers.Length; i++)
        {
            var x = unchecked((uint)i * 2654435761 + start);
            x = unchecked((x ^ x >> 16) * 0x85ebca6b);
            x = unchecked((x ^ x >> 13) * 0xc2b2ae35);
            x ^= x >> 16;
            numbers[i] = (float)((x / 4294967296.0 - 0.5) * scale + offset);
        }
        return tensor(numbers).view(shape);
    }
}
