namespace Koala.Lab.Checkpoints;

/// <summary>
/// Reads the rotary positions of a config.json in both spellings: rope_theta and rope_scaling, or rope_parameters, which may have one
/// section for layers that attend to everything and one for layers with a sliding window.
/// </summary>
/// <param name="values">The config.</param>
/// <param name="headDim">The width of an attention head.</param>
/// <param name="context">max_position_embeddings.</param>
/// <param name="mayBePartial">Whether the architecture can rotate a part of each head.</param>
internal sealed class RopeReader(JsonSection values, int headDim, int context, bool mayBePartial = false)
{
    private const double DefaultTheta = 10_000;
    private const string Partial = "partial_rotary_factor";
    private const string NotThisModel = "use another model; Koala does not compute this one";
    private const string Correct = "get the file again, or correct the value";

    // The keys that each scaling has beside those of all.
    private static readonly Dictionary<string, string[]> s_keys = new()
    {
        ["default"] = ["factor"],
        ["linear"] = ["factor"],
        ["dynamic"] = ["factor"],
        ["llama3"] = ["factor", "low_freq_factor", "high_freq_factor"],
        ["yarn"] = ["factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "attention_factor", "truncate", "finetuned"],
        ["longrope"] = ["factor", "short_factor", "long_factor", "attention_factor"],
    };

    private static readonly string[] s_commonKeys =
        ["rope_type", "type", "rope_theta", Partial, "original_max_position_embeddings", "max_position_embeddings"];

    /// <summary>What a config says about rotary positions.</summary>
    /// <param name="Theta">The base of the frequencies.</param>
    /// <param name="LocalTheta">The base in layers with a sliding window, where there is one of its own.</param>
    /// <param name="Scaling">How they are stretched.</param>
    /// <param name="AttentionFactor">What rotations are multiplied by.</param>
    /// <param name="Context">The largest number of tokens.</param>
    /// <param name="RotaryDim">How many components of a head are rotated; null for all.</param>
    internal sealed record Rope(double Theta, double LocalTheta, RopeScaling? Scaling, double AttentionFactor, int Context, int? RotaryDim);

    private int? _rotaryDim;

    /// <exception cref="KoalaException">A value contradicts another, or Koala does not compute it.</exception>
    internal Rope Read()
    {
        if (values.Has("rope_parameters") && values.Has("rope_scaling"))
            throw values.Fault("rope_scaling", "is given together with rope_parameters, which is the newer spelling of it",
                "remove one of them");
        var parameters = values.OptionalSection("rope_parameters");
        var local = parameters?.OptionalSection("sliding_attention");
        parameters = parameters?.OptionalSection("full_attention") ?? parameters;
        var localTheta = local?.OptionalPositive("rope_theta") ?? values.OptionalPositive("rope_local_base_freq") ?? DefaultTheta;
        if (local?.OptionalText("rope_type") is { } localType and not "default")
            throw local.Fault("rope_type", $"is {MessageText.Text(localType)}, but Koala computes layers with a sliding window without it",
                NotThisModel);
        if (local is not null) Refuse(local, local.OptionalPositive(Partial));
        var rope = parameters ?? values.OptionalSection("rope_scaling");
        _rotaryDim = RotaryDim(rope);
        var (scaling, factor, most) = Scaling(rope);
        return new Rope(Theta(parameters), localTheta, scaling, factor, most, _rotaryDim);
    }

    private int? RotaryDim(JsonSection? rope)
    {
        var (outer, inner) = (values.OptionalPositive(Partial), rope?.OptionalPositive(Partial));
        if (outer is not null && inner is not null && outer != inner)
            throw values.Fault(Partial, $"is {outer}, but {inner} in the section of rotary positions", "remove the wrong one");
        if (!mayBePartial)
        {
            Refuse(values, outer);
            if (rope is not null) Refuse(rope, inner);
        }
        var part = outer ?? inner ?? 1;
        if (part == 1) return null;
        var width = part < 1 ? (int)(headDim * part) : 0;
        return width >= 2 && width % 2 == 0
            ? width
            : throw (outer is null ? rope! : values).Fault(Partial,
                $"is {part}, but an even number of a head's {headDim} components is expected to be rotated", Correct);
    }

    private static void Refuse(JsonSection section, double? part)
    {
        if (part is not (null or 1)) throw section.Fault(Partial, $"is {part}, but Koala rotates whole heads", NotThisModel);
    }

    private double Theta(JsonSection? parameters)
    {
        var (outer, inner) = (values.OptionalPositive("rope_theta"), parameters?.OptionalPositive("rope_theta"));
        if (outer is not null && inner is not null && outer != inner)
            throw values.Fault("rope_theta", $"is {outer}, but {inner} in rope_parameters", "remove the wrong one");
        return inner ?? outer ?? DefaultTheta;
    }

    private (RopeScaling? Scaling, double AttentionFactor, int Context) Scaling(JsonSection? rope)
    {
        if (rope is null) return (null, 1, context);
        var type = rope.OptionalText("rope_type");
        var oldType = rope.OptionalText("type");
        if (type is not null && oldType is not null && type != oldType)
            throw rope.Fault("rope_type", $"is {MessageText.Text(type)}, but type is {MessageText.Text(oldType)}",
                "remove the wrong one");
        // Phi-3's first configs call it su.
        var known = (type ?? oldType) switch { "su" => "longrope", var name => name };
        if (known is null)
            return rope.Has("rope_theta") && !rope.Has("factor")
                ? (null, 1, context)
                : throw rope.Fault("rope_type", "is missing", "get the file again, or add the key");
        if (!s_keys.TryGetValue(known, out var keys))
            throw rope.Fault("rope_type",
                $"is {MessageText.Text(known)}, but Koala computes {string.Join(", ", s_keys.Keys)}", NotThisModel);
        if (known is "default" && rope.OptionalPositive("factor") is { } factor and not 1)
            throw rope.Fault("factor", $"is {factor}, but rope_type is default, which has no factor", "correct one of them");
        foreach (var property in rope.Json.EnumerateObject())
            if (!s_commonKeys.Contains(property.Name) && !keys.Contains(property.Name) && rope.Has(property.Name))
                throw rope.Fault(MessageText.Text(property.Name), $"is given, but Koala computes {known} without it", NotThisModel);
        return known switch
        {
            "linear" => (new RopeScaling("linear", rope.Positive("factor")), 1, context),
            "llama3" => (Llama3(rope), 1, context),
            "yarn" => (Yarn(rope), YarnFactor(rope), context),
            "longrope" => LongRope(rope),
            // Dynamic scaling stretches positions behind the model's context only.
            _ => (null, 1, context),
        };
    }

    private static RopeScaling Llama3(JsonSection rope)
    {
        var (low, high) = (rope.Positive("low_freq_factor"), rope.Positive("high_freq_factor"));
        if (high <= low)
            throw rope.Fault("high_freq_factor", $"is {high}, but must be above low_freq_factor, {low}", Correct);
        return new RopeScaling("llama3", rope.Positive("factor"), low, high, rope.Size("original_max_position_embeddings"));
    }

    private RopeScaling Yarn(JsonSection rope)
    {
        var (slow, fast) = (rope.OptionalPositive("beta_slow") ?? RopeScaling.BetaSlow,
            rope.OptionalPositive("beta_fast") ?? RopeScaling.BetaFast);
        if (fast <= slow) throw rope.Fault("beta_fast", $"is {fast}, but must be above beta_slow, {slow}", Correct);
        var original = rope.OptionalSize("original_max_position_embeddings") ?? context;
        return new RopeScaling("yarn", rope.Positive("factor"), slow, fast, original, RoundsRamp: rope.Boolean("truncate", true));
    }

    private static double YarnFactor(JsonSection rope)
    {
        if (rope.OptionalPositive("attention_factor") is { } given) return given;
        var factor = rope.Positive("factor");
        return rope.OptionalPositive("mscale") is { } scale && rope.OptionalPositive("mscale_all_dim") is { } ofAll
            ? RopeScaling.YarnAttention(factor, scale) / RopeScaling.YarnAttention(factor, ofAll)
            : RopeScaling.YarnAttention(factor);
    }

    // The model uses its short factors up to the context of its first training, and Koala computes up to there.
    private (RopeScaling, double, int) LongRope(JsonSection rope)
    {
        var original = rope.OptionalSize("original_max_position_embeddings") ?? values.Size("original_max_position_embeddings");
        var divisors = rope.Array("short_factor").Select(item =>
            item.ValueKind == System.Text.Json.JsonValueKind.Number && item.TryGetSingle(out var number) && number > 0
            && float.IsFinite(number) ? number : float.NaN).ToArray();
        var pairs = (_rotaryDim ?? headDim) / 2;
        if (divisors.Length != pairs || divisors.Any(float.IsNaN))
            throw rope.Fault("short_factor", $"is no list of {pairs} numbers above 0, one for each rotated pair of a head", Correct);
        var stretch = rope.OptionalPositive("factor") ?? (double)context / original;
        var factor = rope.OptionalPositive("attention_factor")
            ?? (stretch <= 1 ? 1 : Math.Sqrt(1 + Math.Log(stretch) / Math.Log(original)));
        return (new RopeScaling("divisors", 1, Divisors: divisors), factor, Math.Min(original, context));
    }
}
