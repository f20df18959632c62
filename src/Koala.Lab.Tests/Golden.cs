using System.Collections.Concurrent;
using System.IO.Compression;
using System.Text.Json;
using Koala.Lab.Checkpoints.Safetensors;
using static TorchSharp.torch;

namespace Koala.Lab.Tests;

/// <summary>Outputs of another implementation, recorded in files; see golden/README.md.</summary>
internal static class Golden
{
    private static readonly ConcurrentDictionary<string, string> s_unpacked = [];

    // The folder goes when the process ends.
    private static readonly Lazy<string> s_folder = new(() =>
    {
        var folder = Directory.CreateTempSubdirectory("koala-golden-").FullName;
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(folder, recursive: true);
        return folder;
    });

    public static string At(params string[] parts) => TestFiles.At(["src", "Koala.Lab.Tests", "golden", .. parts]);

    /// <summary>The text of a file that is kept as gzip.</summary>
    public static string Unpacked(string name) => TestFiles.Unpacked("src", "Koala.Lab.Tests", "golden", name);

    /// <summary>The prompts that were recorded for a target that ships with the repository.</summary>
    public static IReadOnlyList<GoldenPrompt> Prompts(string target) => ReadPrompts(Unpacked($"{target}.json.gz"));

    /// <summary>The prompts in a recorded file.</summary>
    public static IReadOnlyList<GoldenPrompt> ReadPrompts(string json)
    {
        using var document = JsonDocument.Parse(json);
        static int[] Ids(JsonElement list) => [.. list.EnumerateArray().Select(x => x.GetInt32())];
        return [.. document.RootElement.GetProperty("prompts").EnumerateArray().Select(p =>
            new GoldenPrompt(p.GetProperty("chat").GetString()!, Ids(p.GetProperty("ids")),
                Ids(p.GetProperty("greedy")), p.GetProperty("decoded").GetString()!))];
    }

    /// <summary>Opens a file of tensors. Those of the repository are kept as gzip, which is unpacked once per process.</summary>
    public static SafetensorsFile Open(params string[] parts)
    {
        var file = At(parts);
        return SafetensorsFile.Open(File.Exists(file) ? file : s_unpacked.GetOrAdd(file, _ => Unpack($"{file}.gz")));
    }

    /// <summary>All tensors of a file, floating-point ones as fp32; the caller's dispose scope owns them.</summary>
    public static Dictionary<string, Tensor> Tensors(params string[] parts)
    {
        using var file = Open(parts);
        return file.Tensors.Keys.ToDictionary(name => name, name =>
            file.Read(name, IsFloatingPoint(file, name) ? ScalarType.Float32 : file.Tensors[name].Dtype!.Value, CPU));
    }

    /// <summary>The largest absolute difference of two tensors.</summary>
    public static double Distance(Tensor a, Tensor b) =>
        (a.to(ScalarType.Float32) - b.to(ScalarType.Float32)).abs().max().item<float>();

    private static string Unpack(string packed)
    {
        var file = Path.Combine(s_folder.Value, $"{Guid.NewGuid():N}.safetensors");
        using var from = new GZipStream(File.OpenRead(packed), CompressionMode.Decompress);
        using var to = File.Create(file);
        from.CopyTo(to);
        return file;
    }

    private static bool IsFloatingPoint(SafetensorsFile file, string name) =>
        file.Tensors[name].Dtype is ScalarType.Float32 or ScalarType.Float64 or ScalarType.BFloat16 or ScalarType.Float16;
}

internal sealed record GoldenPrompt(string Chat, int[] Ids, int[] Greedy, string Decoded);
