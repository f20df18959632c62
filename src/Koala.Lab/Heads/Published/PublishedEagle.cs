using System.Text.Json;
using Koala.Lab.Checkpoints;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Targets;

namespace Koala.Lab.Heads.Published;

/// <summary>Reads EAGLE heads under the names of SafeAILab/EAGLE, SpecForge, vLLM and speculators.</summary>
/// <remarks>
/// EAGLE-3's <c>midlayer</c> is its layer 0; the embedding and, in EAGLE, the LM head may be stored once more, and must then be the
/// target's. Layer ids in configs count the states that enter a layer, so id i is the output of layer i-1.
/// </remarks>
internal static class PublishedEagle
{
    private const string Embedding = "embed_tokens.weight";
    private const string LmHead = "lm_head.weight";

    // Tensors that are the target's, or follow from the config.
    private static readonly string[] s_ofTarget = ["verifier_norm.weight", "verifier_lm_head.weight"];
    private static readonly string[] s_buffers = [".rotary_emb.inv_freq", ".rotary_emb.cos_cached", ".rotary_emb.sin_cached"];

    public static DraftHead Read(ITensorSource source, JsonSection? config, Target target, string format)
    {
        var (names, ignored) = (new Dictionary<string, string>(), new List<string>());
        foreach (var name in source.Tensors.Keys)
        {
            var canonical = Canonical(PublishedHead.Plain(name));
            if (s_ofTarget.Contains(canonical)) ignored.Add($"{name} (the target's)");
            else if (s_buffers.Any(buffer => canonical.EndsWith(buffer, StringComparison.Ordinal)))
                ignored.Add($"{name} (follows from the config)");
            else if (!names.TryAdd(canonical, name))
                throw new KoalaException(source.Path,
                    $"contains both '{MessageText.Text(names[canonical])}' and '{MessageText.Text(name)}', which are the same tensor",
                    "get the file again");
        }
        var isEagle3 = names.ContainsKey("layers.0.hidden_norm.weight");
        TakeCopy(Embedding, TargetCopy.FromEmbedding);
        if (!isEagle3) TakeCopy(LmHead, TargetCopy.FromLmHead);

        long Rows(string name) => Shape(source, names, name)[0];
        bool HasLayer(int layer) => names.ContainsKey($"layers.{layer}.self_attn.o_proj.weight");
        var layers = Enumerable.Range(0, HeadOptions.MaxLayers + 1).TakeWhile(HasLayer).Count();
        List<string> notes = [$"{layers} layer{(layers == 1 ? "" : "s")}, counted from the tensors"];
        // In a config of speculators the layers' sizes stand in a section of their own.
        var sizes = config?.OptionalSection("transformer_layer_config") ?? config;
        if (sizes?.Find("num_hidden_layers") is { } said && said.ToString() != $"{layers}")
            notes.Add($"the config says num_hidden_layers {MessageText.Text(said.ToString())}");
        var hasOwnLmHead = isEagle3 && names.ContainsKey(LmHead);
        var vocabulary = names.ContainsKey("d2t") ? Rows("d2t") : 0;
        if (hasOwnLmHead && vocabulary == 0 && Rows(LmHead) != target.Config.VocabularySize)
            throw new KoalaException($"{source.Path}, tensor '{names[LmHead]}'",
                $"predicts {Rows(LmHead)} tokens, but {target.Name} has {target.Config.VocabularySize}, and there is no d2t that maps them",
                "get the file again, or use the head with its own target");
        var options = new EagleOptions
        {
            Layers = layers,
            DraftVocabulary = checked((int)vocabulary),
            Bias = names.ContainsKey("fc.bias"),
            Architecture = isEagle3 ? EagleArchitecture.Eagle3 : null,
            FusedFeatures = isEagle3,
            FusedLayers = isEagle3 ? FusedLayers(config, target, source, names) : null,
            OwnLmHead = hasOwnLmHead,
            NormBeforeResidual = isEagle3 && (config?.Boolean("norm_before_residual", false) ?? false),
            NormBeforeFc = names.ContainsKey("input_norm.weight"),
            FeatureNorms = names.ContainsKey("fc_norm.0.weight"),
            NormOutput = isEagle3 && (config?.Boolean("norm_output", false) ?? false),
            Decoder = Decoder(source, names, sizes, target),
        };
        if (isEagle3 && config?.Has("norm_before_residual") is false && format.Contains("speculators", StringComparison.Ordinal))
            notes.Add("the config does not say norm_before_residual: false is assumed, as speculators does; vLLM assumes true");
        options.Validate();
        using var mapped = new MappedTensors(source, names);
        var head = EagleStateDict.Read(new CheckedTensors(mapped), options, target);
        head.Origin = new HeadOrigin(format, ignored, notes);
        return head;

        // A copy of a tensor of the target, which shows that the head was made for it.
        void TakeCopy(string name, Func<ITensorSource, string, Target, double> distance)
        {
            if (!names.Remove(name, out var stored)) return;
            var share = distance(source, stored, target);
            if (!TargetCopy.IsSame(share))
                throw new KoalaException($"{source.Path}, tensor '{stored}'",
                    double.IsInfinity(share)
                        ? $"has the shape {MessageText.Shape(source.Tensors[stored].Shape)}, which is not that of {target.Name}"
                        : $"differs from that of {target.Name} by {share:P0} of its largest weight: the head was made for another target",
                    "use the head with its own target");
            ignored.Add($"{stored} (the target's)");
        }
    }

    private static string Canonical(string name)
    {
        // An early version of speculators names EAGLE's parts so.
        if (name.StartsWith("fusion_fc.", StringComparison.Ordinal)) return name["fusion_".Length..];
        if (name.StartsWith("transformer.", StringComparison.Ordinal)) return $"layers.0.{name["transformer.".Length..]}";
        return name.StartsWith("midlayer.", StringComparison.Ordinal) ? $"layers.0.{name["midlayer.".Length..]}" : name;
    }

    private static IReadOnlyList<long> Shape(ITensorSource source, Dictionary<string, string> names, string name) =>
        names.TryGetValue(name, out var stored) && source.Tensors[stored].Shape is { Count: > 0 } shape
            ? shape
            : throw new KoalaException(source.Path, $"lacks the tensor {name}", "get the file again");

    private static int[] FusedLayers(JsonSection? config, Target target, ITensorSource source, Dictionary<string, string> names)
    {
        const string Key = "eagle_aux_hidden_state_layer_ids";
        var layers = target.Config.Layers;
        var section = config?.Has(Key) is true ? config : config?.OptionalSection("eagle_config");
        int[] ids = section?.Has(Key) is true
            ? [.. section.Array(Key).Select(id => id.ValueKind == JsonValueKind.Number && id.TryGetInt32(out var value)
                ? value
                : throw section.Fault(Key, "contains what is no whole number", "correct the value"))]
            : [2, layers / 2, layers - 3];
        if (ids.FirstOrDefault(id => id < 1 || id >= layers, -1) is var wrong and >= 0 || ids.Any(id => id < 1))
            throw new KoalaException(config is null ? source.Path : $"{source.Path}: {Key}",
                $"takes the states that enter the layers {string.Join(", ", ids)}, but {target.Name} has states between its layers "
                + $"1 to {layers - 1}", "use the head with its own target");
        var fused = Shape(source, names, "fc.weight")[^1];
        return fused == (long)ids.Length * target.Config.HiddenSize
            ? [.. ids.Select(id => id - 1)]
            : throw new KoalaException($"{source.Path}, tensor '{names["fc.weight"]}'",
                $"takes {fused} numbers, but {ids.Length} states of {target.Name} have {ids.Length * target.Config.HiddenSize}",
                "use the head with its own target");
    }

    private static EagleDecoderSizes? Decoder(
        ITensorSource source, Dictionary<string, string> names, JsonSection? config, Target target)
    {
        const string Layer = "layers.0.";
        long Rows(string name) => Shape(source, names, $"{Layer}{name}.weight")[0];
        var (q, kv) = (Rows("self_attn.q_proj"), Rows("self_attn.k_proj"));
        var width = HeadDim(config, q, kv) ?? (q % target.Config.HeadDim == 0 && kv % target.Config.HeadDim == 0
            ? target.Config.HeadDim
            : throw new KoalaException(source.Path, $"has {q} query rows and {kv} key rows, of which no width of attention heads follows",
                "add head_dim to its config.json"));
        var (theta, scaling) = Rope(config, target, width);
        var decoder = new EagleDecoderSizes((int)(q / width), (int)(kv / width), width, (int)Rows("mlp.gate_proj"),
            config?.OptionalPositive("rms_norm_eps") ?? target.Config.RmsNormEps, theta, scaling,
            names.ContainsKey($"{Layer}self_attn.q_proj.bias"), names.ContainsKey($"{Layer}self_attn.q_norm.weight"));
        if (decoder.KeyValueHeads == 0 || decoder.Heads % decoder.KeyValueHeads != 0)
            throw new KoalaException(source.Path,
                $"has {decoder.Heads} query heads and {decoder.KeyValueHeads} key heads, which do not divide them", "get the file again");
        return decoder.In(target.Config.ForHeads) == target.Config.ForHeads ? null : decoder;
    }

    private static (double Theta, RopeScaling? Scaling) Rope(JsonSection? config, Target target, int width)
    {
        if (config is null) return (target.Config.RopeTheta, target.Config.RopeScaling);
        var rope = new RopeReader(config, width, config.OptionalSize("max_position_embeddings") ?? target.Config.ContextLength).Read();
        return rope.AttentionFactor == 1
            ? (rope.Theta, rope.Scaling)
            : throw config.Fault("rope_scaling", $"scales rotations by {rope.AttentionFactor}, which Koala computes in targets only",
                "use a head with another scaling");
    }

    // The width that the config gives, where it divides the rows: the head counts in configs are sometimes wrong.
    private static int? HeadDim(JsonSection? config, long q, long kv)
    {
        var heads = config?.OptionalSize("num_attention_heads");
        int? width = config?.OptionalSize("head_dim") ?? (heads is { } count && q % count == 0 ? (int)(q / count) : null);
        return width is { } found && found % 2 == 0 && q % found == 0 && kv % found == 0 ? found : null;
    }
}
