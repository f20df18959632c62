using Koala.Lab.Checkpoints;
using Koala.Lab.Checkpoints.Safetensors;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Published;
using Koala.Lab.Runs;
using Koala.Lab.Targets;
using Koala.Lab.Text.Tokenizers;

namespace Koala.Cli.Output;

/// <summary>What <c>koala inspect</c> prints. It reads no weights.</summary>
internal static class Inspection
{
    private const string WeightsFile = "model.safetensors";

    private sealed record TargetInspection(
        string Kind,
        string Name,
        long Parameters,
        IReadOnlyDictionary<string, long> ParametersByPart,
        IReadOnlyDictionary<string, long> ParametersByDtype,
        ModelConfig Config,
        TokenizerInspection Tokenizer);

    private sealed record TokenizerInspection(int VocabularySize);

    private sealed record HeadInspection(string Kind, HeadOptions Head, TargetIdentity Target, long Parameters,
        IReadOnlyDictionary<string, long> ParametersByDtype);

    private sealed record PublishedInspection(string Kind, string Format, long Parameters,
        IReadOnlyDictionary<string, long> ParametersByDtype, IReadOnlyDictionary<string, string> Tensors);

    private sealed record RunInspection(string Kind, RunRecord Record, IReadOnlyDictionary<string, double> LastMetrics);

    private sealed record FileInspection(string Kind, long Parameters, IReadOnlyDictionary<string, long> ParametersByDtype,
        IReadOnlyDictionary<string, string> Metadata, IReadOnlyDictionary<string, string> Tensors);

    public static object OfTarget(string path)
    {
        using var files = ModelFiles.Open(path);
        var tensors = files.Tensors.Tensors.Values;
        var tokenizer = new TokenizerInspection(Tokenizer.Load(path).VocabularySize);
        return new TargetInspection(
            "target",
            files.Name,
            tensors.Sum(t => t.Count),
            Sums(tensors, PartOf),
            Sums(tensors, t => t.Stored),
            files.Config,
            tokenizer);
    }

    public static object OfHead(string path)
    {
        var (options, target) = HeadFolder.ReadConfig(path);
        using var file = WeightFile.Open(Path.Combine(path, WeightsFile));
        var tensors = file.Tensors.Values;
        return new HeadInspection("head", options, target, tensors.Sum(t => t.Count), Sums(tensors, t => t.Stored));
    }

    /// <summary>A head in the format of another project. What its tensors mean shows only together with its target.</summary>
    public static object OfPublished(string path, string format)
    {
        using var file = PublishedHead.Open(path);
        var tensors = file.Tensors.Values;
        return new PublishedInspection("head", format, tensors.Sum(t => t.Count), Sums(tensors, t => t.Stored), Descriptions(tensors));
    }

    public static object OfRun(string path)
    {
        var run = RunFolder.Open(path);
        Dictionary<string, double> last = MetricsLog.Read(run.MetricsFile) is [.., var line]
            ? new(line.Values) { ["step"] = line.Step }
            : [];
        return new RunInspection("run", run.ReadRecord(), last);
    }

    public static object OfFile(string path)
    {
        using var file = WeightFile.Open(path);
        var tensors = file.Tensors.Values;
        var parameters = tensors.Sum(t => t.Count);
        var (kind, metadata) = file is SafetensorsFile safetensors
            ? ("safetensors", safetensors.Metadata)
            : ("pytorch", new Dictionary<string, string>());
        return new FileInspection(kind, parameters, Sums(tensors, t => t.Stored), metadata, Descriptions(tensors));
    }

    private static Dictionary<string, string> Descriptions(IEnumerable<TensorInfo> tensors) =>
        tensors.ToDictionary(t => t.Name, t => $"{t.Stored} [{string.Join(", ", t.Shape)}]");

    private static Dictionary<string, long> Sums(IEnumerable<TensorInfo> tensors, Func<TensorInfo, string> key) =>
        tensors.GroupBy(key).ToDictionary(group => group.Key, group => group.Sum(t => t.Count));

    // Hugging Face's names: model.embed_tokens.weight, model.layers.3.mlp.up_proj.weight, lm_head.weight.
    private static string PartOf(TensorInfo tensor)
    {
        var parts = tensor.Name.Split('.');
        return parts switch
        {
            ["model", "layers", _, var part, ..] => $"layers.{part}",
            ["model", var part, ..] => part,
            [var part, ..] => part,
            _ => tensor.Name,
        };
    }
}
