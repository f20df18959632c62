using System.Globalization;
using System.Text.RegularExpressions;
using Koala.Lab.Checkpoints;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Heads.Published;

/// <summary>Reads Medusa heads under the names of FasterDecoding/Medusa and of vLLM.</summary>
/// <remarks>
/// <c>{h}.{k}.linear.weight</c> and <c>.bias</c>, with <c>{h}.{K}.weight</c> for the LM head; vLLM: <c>blocks.{h}.layers.{k}.weight</c> and
/// <c>lm_heads.{h}.weight</c>, or one <c>lm_head.weight</c>. A checkpoint of Medusa-2 holds the whole model beside them.
/// </remarks>
internal static partial class PublishedMedusa
{
    private const string SharedLmHead = "lm_head.weight";

    public static DraftHead Read(ITensorSource source, JsonSection? config, Target target, string format)
    {
        var names = new Dictionary<string, string>();
        List<string> others = [];
        foreach (var name in source.Tensors.Keys)
            if (Canonical(PublishedHead.Plain(name)) is not { } canonical) others.Add(name);
            else if (!names.TryAdd(canonical, name))
                throw new KoalaException(source.Path,
                    $"contains both '{MessageText.Text(names[canonical])}' and '{MessageText.Text(name)}', which are the same tensor",
                    "get the file again");
        var (heads, layers) = Count(source, names.Keys);
        var options = new MedusaOptions { Heads = heads, Layers = layers };
        options.Validate();
        List<string> notes = [$"{heads} heads of {layers} block{(layers == 1 ? "" : "s")}, counted from the tensors"];
        Compare(config, "medusa_num_heads", heads, notes);
        Compare(config, "num_heads", heads, notes);
        Compare(config, "medusa_num_layers", layers, notes);

        List<string> ignored = [];
        var lmHeads = Enumerable.Range(0, heads).Count(h => names.Remove($"{h}.lm_head", out var name)
            && names.TryAdd($"{h}.{layers}.weight", name));
        if (lmHeads > 0 && lmHeads < heads)
            throw new KoalaException(source.Path, $"has LM heads of {lmHeads} of {heads} heads", "get the file again");
        options = options with { OwnLmHeads = lmHeads > 0 || ShareLmHead(source, names, others, heads, layers, target, ignored) };
        var zeros = Enumerable.Range(0, heads).SelectMany(h => Enumerable.Range(0, layers).Select(k => $"{h}.{k}.linear.bias"))
            .Where(name => !names.ContainsKey(name)).ToDictionary(name => name, _ => new long[] { target.Config.HiddenSize });
        if (zeros.Count > 0) notes.Add("blocks without biases");
        if (others.Contains("token_map"))
            throw new KoalaException($"{source.Path}, tensor 'token_map'", "chooses a part of the vocabulary, but Koala's Medusa heads "
                + "predict over all of it", "export the head without truncated_vocab_size");
        ignored.AddRange(others.Select(name => $"{name} (of no head)"));

        using var mapped = new MappedTensors(source, names, zeros);
        if (layers > 1 && AreTied(mapped, heads, layers))
        {
            notes.Add($"the {layers} blocks of each head are one block (tied)");
            options = options with { Tied = true };
        }
        var head = MedusaStateDict.Read(new CheckedTensors(mapped), options, target.Identity, target.Dtype, target.Device);
        head.Origin = new HeadOrigin(format, ignored, notes);
        return head;
    }

    // Koala's name; {h}.lm_head where the number of blocks is not known yet.
    private static string? Canonical(string name)
    {
        if (Block().Match(name) is { Success: true } block)
            return $"{Number(block, 1)}.{Number(block, 2)}.linear.{block.Groups[3].Value}";
        if (VllmBlock().Match(name) is { Success: true } vllm)
            return $"{Number(vllm, 1)}.{Number(vllm, 2)}.linear.{vllm.Groups[3].Value}";
        if (LmHead().Match(name) is { Success: true } lmHead) return $"{Number(lmHead, 1)}.lm_head";
        return VllmLmHead().Match(name) is { Success: true } head ? $"{Number(head, 1)}.lm_head" : null;
    }

    private static int Number(Match match, int group) => int.Parse(match.Groups[group].ValueSpan, CultureInfo.InvariantCulture);

    private static (int Heads, int Layers) Count(ITensorSource source, IEnumerable<string> names)
    {
        var blocks = names.Where(name => name.EndsWith(".linear.weight", StringComparison.Ordinal))
            .Select(name => name.Split('.')).Select(parts => (Head: int.Parse(parts[0], CultureInfo.InvariantCulture),
                Block: int.Parse(parts[1], CultureInfo.InvariantCulture))).ToHashSet();
        var (heads, layers) = (blocks.Max(block => block.Head) + 1, blocks.Max(block => block.Block) + 1);
        return blocks.Count == (long)heads * layers
            ? (heads, layers)
            : throw new KoalaException(source.Path, $"has {blocks.Count} blocks, but {heads} heads of up to {layers} blocks",
                "get the file again");
    }

    // vLLM's one LM head for all heads: the target's is shared, any other is given to each.
    private static bool ShareLmHead(ITensorSource source, Dictionary<string, string> names, List<string> others, int heads, int layers,
        Target target, List<string> ignored)
    {
        if (others.Find(name => PublishedHead.Plain(name) == SharedLmHead) is not { } name) return false;
        others.Remove(name);
        if (TargetCopy.IsSame(TargetCopy.FromLmHead(source, name, target)))
        {
            ignored.Add($"{name} (the target's)");
            return false;
        }
        for (var h = 0; h < heads; h++) names[$"{h}.{layers}.weight"] = name;
        return true;
    }

    private static bool AreTied(MappedTensors source, int heads, int layers)
    {
        using var scope = NewDisposeScope();
        bool Equal(int head, int block, string part) => source.Read($"{head}.0.linear.{part}", ScalarType.Float32, CPU)
            .equal(source.Read($"{head}.{block}.linear.{part}", ScalarType.Float32, CPU)).all().item<bool>();
        // Blocks that have learned nothing yet are all zero.
        using var first = source.Read("0.0.linear.weight", ScalarType.Float32, CPU);
        return first.any().item<bool>() && Enumerable.Range(0, heads).All(h =>
            Enumerable.Range(1, layers - 1).All(k => Equal(h, k, "weight") && Equal(h, k, "bias")));
    }

    private static void Compare(JsonSection? config, string key, int counted, List<string> notes)
    {
        if (config?.Find(key) is { } value && value.ToString() != counted.ToString(CultureInfo.InvariantCulture))
            notes.Add($"the config says {key} {MessageText.Text(value.ToString())}");
    }

    [GeneratedRegex(@"^(?:medusa_heads?\.)?(\d{1,6})\.(\d{1,6})\.linear\.(weight|bias)$", RegexOptions.CultureInvariant)]
    private static partial Regex Block();

    [GeneratedRegex(@"^(?:medusa_heads?\.)?blocks\.(\d{1,6})\.layers\.(\d{1,6})\.(weight|bias)$", RegexOptions.CultureInvariant)]
    private static partial Regex VllmBlock();

    [GeneratedRegex(@"^(?:medusa_heads?\.)?(\d{1,6})\.\d{1,6}\.weight$", RegexOptions.CultureInvariant)]
    private static partial Regex LmHead();

    [GeneratedRegex(@"^(?:medusa_heads?\.)?lm_heads\.(\d{1,6})\.weight$", RegexOptions.CultureInvariant)]
    private static partial Regex VllmLmHead();
}
