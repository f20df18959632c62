using System.Globalization;
using Koala.Lab.Checkpoints;
using TorchSharp;

namespace Koala.Lab.Targets;

/// <summary>The decoder layers of the Llama family as one TorchScript function: one native call for a whole step.</summary>
/// <remarks>
/// The source is written for one <see cref="ModelConfig"/>, so that the switches between families (query/key/value biases,
/// query/key norms) cost nothing at run time. It reads nothing on the host and its shapes depend only on (B, T, limit), so that a
/// step can be captured in a CUDA graph. B sequences, T new tokens each, N = B·T rows, D width.
/// The query heads that share a key/value head are laid out as extra query rows, so that attention reads each key once.
/// A head of decoder layers is the same function with another beginning and end: <see cref="OfHead"/>.
/// </remarks>
internal sealed class DecoderScript : IDisposable
{
    // x [N,in] times w [out,in] transposed. In fp32 on a CPU the library behind linear is at its worst with few rows: w·xᵀ, which has the
    // long side first, took a third to a fifth of the time at N = 2 to 16. There some N cost more than the next round one: three rows a
    // quarter more than four, twelve a third more than sixteen (on an AMD EPYC without AVX-512). Such an N gets rows that nobody reads.
    private const string FewRowsProduct = """
        def product(x, w):
            n = x.size(0)
            if n > 32:
                return torch.mm(x, w.t())
            m = n
            if n == 1 or n == 3:
                m = n + 1
            elif n > 5 and n % 8 != 1 and (n < 17 or n > 20):
                m = (n + 7) // 8 * 8
            if m > n:
                x = torch.cat([x, x[:m - n]])
            return torch.mm(w, x.t())[:, :n].t().contiguous()

        """;

    private const string PlainProduct = """
        def product(x, w):
            return torch.linear(x, w)

        """;

    private readonly torch.jit.CompilationUnit _unit;

    private DecoderScript(string source, torch.ScalarType dtype, torch.Device device) =>
        _unit = torch.jit.compile((device.type == DeviceType.CPU && dtype == torch.ScalarType.Float32 ? FewRowsProduct : PlainProduct) + source);

    /// <summary>A target's layers and its final norm.</summary>
    public static DecoderScript OfTarget(ModelConfig config, torch.ScalarType dtype, torch.Device device) =>
        new(LayerSource(config) + TargetSource(config), dtype, device);

    /// <summary>
    /// An EAGLE head's layers: they begin with a linear layer over pairs side by side, the first one has no input norm, and no norm ends them.
    /// </summary>
    /// <param name="config">Of the target, whose layers they resemble.</param>
    /// <param name="layers">K.</param>
    /// <param name="bias">Whether the linear layer has a bias.</param>
    /// <param name="dtype">Of weights and cache.</param>
    /// <param name="device">Where it runs.</param>
    public static DecoderScript OfHead(ModelConfig config, int layers, bool bias, torch.ScalarType dtype, torch.Device device) =>
        new(LayerSource(config) + HeadSource(config, layers, bias), dtype, device);

    /// <summary>Tensors a layer takes, in this order.</summary>
    /// <remarks>Fused where they share their input: fewer, larger products.</remarks>
    public static IReadOnlyList<string> LayerTensors(ModelConfig config)
    {
        List<string> names = ["input_norm", "qkv", "o", "post_norm", "gate_up", "down"];
        if (config.AttentionBias) names.Add("qkv_bias");
        if (config.QueryKeyNorm) names.AddRange(["q_norm", "k_norm"]);
        return names;
    }

    /// <summary>Runs all layers, a target's with the final norm.</summary>
    /// <param name="rows">A target's embedded tokens, [N,D]; a head's pairs of embedding and feature, [N,2D].</param>
    /// <param name="weights">A target's: the layers' tensors one after another, then the final norm. A head's: the linear layer, its bias, the layers' tensors, where the first layer has no input norm.</param>
    /// <param name="step">Where the tokens stand and what they see.</param>
    /// <param name="cache">Keys and values are written into it at the step's slots.</param>
    /// <returns>Hidden states, [N,D].</returns>
    public torch.Tensor Forward(torch.Tensor rows, torch.Tensor[] weights, StepInputs step, KeyValueCache cache) =>
        (torch.Tensor)_unit.invoke("forward", rows, weights, cache.Keys, cache.Values, step.Cos, step.Sin, step.Mask, step.Slots, cache.Batch, step.Limit);

    /// <summary>x·wᵀ, by the products that the layers use.</summary>
    /// <param name="x">[...,in]; gradients flow to it.</param>
    /// <param name="w">[out,in].</param>
    public torch.Tensor Product(torch.Tensor x, torch.Tensor w) =>
        ((torch.Tensor)_unit.invoke("product", x.reshape(-1, x.shape[^1]), w)).view([.. x.shape[..^1], w.shape[0]]);

    /// <summary>As <see cref="Forward"/>, with the output of every layer, the last one after the final norm: [N,D] each.</summary>
    public torch.Tensor[] States(torch.Tensor rows, torch.Tensor[] weights, StepInputs step, KeyValueCache cache) =>
        (torch.Tensor[])_unit.invoke("states", rows, weights, cache.Keys, cache.Values, step.Cos, step.Sin, step.Mask, step.Slots, cache.Batch, step.Limit);

    public void Dispose() => _unit.Dispose();

    private static string TargetSource(ModelConfig c)
    {
        var count = LayerTensors(c).Count;
        var slices = string.Join(", ", Enumerable.Range(1, count - 1).Select(i => $"w[{count} * i + {i}]"));
        var layer = $"layer(x, {Norm(c, "x", $"w[{count} * i]")}, {slices}, keys[i], values[i], cos, sin, mask, slots, B, limit)";
        return $"""
            def forward(x, w: List[Tensor], keys: List[Tensor], values: List[Tensor], cos, sin, mask, slots, B: int, limit: int):
                for i in range(len(keys)):
                    x = {layer}
                return {Norm(c, "x", "w[len(w) - 1]")}

            def states(x, w: List[Tensor], keys: List[Tensor], values: List[Tensor], cos, sin, mask, slots, B: int, limit: int):
                all: List[Tensor] = []
                for i in range(len(keys)):
                    x = {layer}
                    all.append(x)
                all[len(keys) - 1] = {Norm(c, "x", "w[len(w) - 1]")}
                return all

            """;
    }

    private static string HeadSource(ModelConfig c, int layers, bool bias)
    {
        var source = $"""
            def forward(pairs, w: List[Tensor], keys: List[Tensor], values: List[Tensor], cos, sin, mask, slots, B: int, limit: int):
                x = product(pairs, w[0]){(bias ? " + w[1]" : "")}

            """;
        var (at, rest) = (bias ? 2 : 1, LayerTensors(c).Count - 1);
        for (var layer = 0; layer < layers; layer++)
        {
            var input = layer == 0 ? "x" : Norm(c, "x", $"w[{at++}]");
            source += $"    x = layer(x, {input}, {string.Join(", ", Enumerable.Range(at, rest).Select(i => $"w[{i}]"))}, keys[{layer}], values[{layer}], cos, sin, mask, slots, B, limit)\n";
            at += rest;
        }
        return source + "    return x\n";
    }

    // h is x, normed where the layer has an input norm.
    private static string LayerSource(ModelConfig c)
    {
        var arguments = string.Join(", ", LayerTensors(c).Skip(1));
        var qkv = c.AttentionBias ? "product(h, qkv) + qkv_bias" : "product(h, qkv)";
        var norms = c.QueryKeyNorm
            ? $"""
                   qk = torch.cat([torch.rms_norm(qk[:, :, :{c.Heads}], [{c.HeadDim}], q_norm, {Eps(c)}), torch.rms_norm(qk[:, :, {c.Heads}:], [{c.HeadDim}], k_norm, {Eps(c)})], 2)

               """
            : "";
        var (q, kv, d, group) = (c.Heads * c.HeadDim, c.KeyValueHeads * c.HeadDim, c.HeadDim, c.Heads / c.KeyValueHeads);
        return $"""
            def layer(x, h, {arguments}, keys, values, cos, sin, mask, slots, B: int, limit: int):
                T = x.size(0) // B
                p = {qkv}
                qk = p[:, :{q + kv}].view(B, T, {c.Heads + c.KeyValueHeads}, {d})
            {norms}    qk = torch.addcmul(qk * cos, torch.roll(qk, {d / 2}, -1), sin)
                keys.index_copy_(0, slots, qk[:, :, {c.Heads}:].transpose(1, 2).reshape(-1, {d}))
                values.index_copy_(0, slots, p[:, {q + kv}:].view(B, T, {c.KeyValueHeads}, {d}).transpose(1, 2).reshape(-1, {d}))
                k = keys.view(B, {c.KeyValueHeads}, -1, {d})[:, :, :limit]
                v = values.view(B, {c.KeyValueHeads}, -1, {d})[:, :, :limit]
                a = qk[:, :, :{c.Heads}].view(B, T, {c.KeyValueHeads}, {group}, {d}).permute([0, 2, 3, 1, 4]).reshape(B, {c.KeyValueHeads}, {group} * T, {d})
                a = torch.scaled_dot_product_attention(a, k, v, mask)
                a = a.view(B, {c.KeyValueHeads}, {group}, T, {d}).permute([0, 3, 1, 2, 4]).reshape(B * T, {q})
                x = x + product(a, o)
                u = product({Norm(c, "x", "post_norm")}, gate_up)
                return x + product(torch.silu(u[:, :{c.IntermediateSize}]) * u[:, {c.IntermediateSize}:], down)

            """;
    }

    private static string Norm(ModelConfig c, string x, string weight) => $"torch.rms_norm({x}, [{c.HiddenSize}], {weight}, {Eps(c)})";

    // With an exponent, so that it never reads as an integer.
    private static string Eps(ModelConfig c) => c.RmsNormEps.ToString("E16", CultureInfo.InvariantCulture);
}
