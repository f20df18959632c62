using Koala.Lab.Heads.Learning;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Heads.Eagle;

/// <summary>
/// Runs an EAGLE head over whole rows, for several steps on its own outputs and with gradients: training-time test.
/// </summary>
/// <remarks>
/// After EAGLE-3 (arXiv 2503.01840). In step j, index i of a row gets token i+1+j. It also gets feature i in step 0,
/// and its own output of the step before in later steps. It stands at position i+j, and attends to the keys of step 0
/// up to index i and to its own keys of steps 1 to j; with a window, only to the last of them. This is what the head
/// attends to when it drafts from index i. In shapes B is the number of rows, T the tokens per row, D the width, H the
/// number of key/value heads, G the number of query heads per key/value head, and d the width of a head.
/// </remarks>
internal static class EagleTrainingPass
{
    /// <returns>
    /// The output of each step, [B·T,D]. The last outputs of a segment have no meaning, since their tokens belong to
    /// the next segment.
    /// </returns>
    public static IReadOnlyList<Tensor> Outputs(
        EagleWeights weights, TrainingBatch batch, Target target, Func<Tensor, (Tensor Cos, Tensor Sin)> rotations)
    {
        var length = batch.Tokens.shape[1];
        var hidden = Hidden(batch.Segments, target);
        var layers = Enumerable.Range(0, weights.Options.Layers).Select(layer => new Layer(weights, layer)).ToArray();
        var outputs = new List<Tensor>();
        for (var step = 0; step < batch.TrainingTimeTestSteps; step++)
        {
            var shift = Math.Min(1 + step, length);
            var tokens = nn.functional.pad(batch.Tokens.narrow(1, shift, length - shift), [0, shift]);
            var features = step == 0 ? batch.WithNoise(weights.Fuse(batch.DraftFeatures)) : outputs[^1];
            var (x, first) = Begin(weights, target.Model.Embed(tokens.view(-1)), features);
            var (cos, sin) = rotations(batch.Positions + step);
            var mask = AttentionMask(hidden, step, weights.Options.Window, target);
            foreach (var layer in layers) x = layer.Forward(x, cos, sin, mask, layer == layers[0] ? first : null);
            outputs.Add(weights.Continued(x));
        }
        return outputs;
    }

    // What enters the first layer, [B·T,D], and what its attention reads, [B·T,D] or in EAGLE-3 [B·T,2D].
    private static (Tensor Residual, Tensor Read) Begin(EagleWeights weights, Tensor embeddings, Tensor features)
    {
        if (!weights.Options.IsEagle3)
        {
            var joined = nn.functional.linear(cat([embeddings, features], 1), weights["fc"], weights.Find("fc.bias"));
            return (joined, joined);
        }
        var normed = weights.Norm(features, weights.Layer(0, "hidden_norm"));
        var read = cat([weights.Norm(embeddings, weights.Layer(0, "input_norm")), normed], 1);
        return (weights.Options.NormBeforeResidual ? normed : features, read);
    }

    // True at later tokens and at tokens of other segments, [B,T,T].
    private static Tensor Hidden(Tensor segments, Target target)
    {
        var length = segments.shape[1];
        var otherSegment = segments.unsqueeze(2).ne(segments.unsqueeze(1));
        return otherSegment.logical_or_(ones([length, length], ScalarType.Bool, target.Device).triu_(1));
    }

    // Minus infinity at the keys of step 0 that a step does not attend to, else zero; [B,1,1,T,T]. A window counts from the position of
    // the step; the keys of later steps are always in it, since it is at least as long as a draft.
    private static Tensor AttentionMask(Tensor hidden, int step, int? window, Target target)
    {
        var (rows, length) = (hidden.shape[0], hidden.shape[1]);
        var masked = window is null
            ? hidden
            : hidden.logical_or(ones([length, length], ScalarType.Bool, target.Device).tril_(step - window.Value));
        return zeros([rows, 1, 1, length, length], target.Dtype, target.Device)
            .masked_fill_(masked.view(rows, 1, 1, length, length), double.NegativeInfinity);
    }

    /// <summary>A decoder layer with the keys and values of the steps so far.</summary>
    private sealed class Layer(EagleWeights weights, int number)
    {
        private readonly List<Tensor> _keys = [];     // one tensor per step, [B,H,T,d]
        private readonly List<Tensor> _values = [];

        /// <summary>
        /// Computes the layer's output of the next step and keeps its keys and values for the steps after it.
        /// </summary>
        /// <param name="x">The layer's input, [B·T,D].</param>
        /// <param name="cos">Cosines of the rotary positions, [B,T,1,d].</param>
        /// <param name="sin">Their signed sines, [B,T,1,d].</param>
        /// <param name="mask">What is added to the scores of the first step's keys, [B,1,1,T,T].</param>
        /// <param name="read">What attention reads; null means the norm of the input.</param>
        /// <returns>[B·T,D], with gradients.</returns>
        public Tensor Forward(Tensor x, Tensor cos, Tensor sin, Tensor mask, Tensor? read)
        {
            var c = weights.Config;
            var h = read ?? weights.Norm(x, weights.Layer(number, "input_norm"));
            var (q, kv) = (c.Heads * c.HeadDim, c.KeyValueHeads * c.HeadDim);
            var p = nn.functional.linear(h, weights.Layer(number, "qkv"), c.AttentionBias ? weights.Layer(number, "qkv_bias") : null);
            var (rows, length) = (cos.shape[0], cos.shape[1]);
            Tensor Heads(long start, long width) => p.narrow(1, start, width).view(rows, length, -1, c.HeadDim);
            var (query, key, value) = (Heads(0, q), Heads(q, kv), Heads(q + kv, kv));
            if (c.QueryKeyNorm)
            {
                query = weights.Norm(query, weights.Layer(number, "q_norm"));
                key = weights.Norm(key, weights.Layer(number, "k_norm"));
            }
            _keys.Add(Rotate(key, cos, sin).transpose(1, 2));
            _values.Add(value.transpose(1, 2));
            var grouped = Rotate(query, cos, sin).view(rows, length, c.KeyValueHeads, -1, c.HeadDim);   // [B,T,H,G,d]
            var attended = Attend(grouped.permute(0, 2, 3, 1, 4), mask);                                // [B,H,G,T,d]
            attended = attended.permute(0, 3, 1, 2, 4).reshape(rows * length, q);                       // [B·T,H·G·d]
            x = x + nn.functional.linear(attended, weights.Layer(number, "o"));
            var u = nn.functional.linear(weights.Norm(x, weights.Layer(number, "post_norm")), weights.Layer(number, "gate_up"));
            var inner = nn.functional.silu(u.narrow(1, 0, c.IntermediateSize)) * u.narrow(1, c.IntermediateSize, c.IntermediateSize);
            return x + nn.functional.linear(inner, weights.Layer(number, "down"));
        }

        // The query is [B,H,G,T,d]. It attends to the first step's keys at all indices, and to the later steps' keys at
        // its own index.
        private Tensor Attend(Tensor query, Tensor mask)
        {
            var sizes = query.shape;
            query = query / Math.Sqrt(sizes[4]);
            // Query heads that share their keys become rows of one matrix product.
            Tensor Rows(Tensor x) => x.reshape(sizes[0], sizes[1], sizes[2] * sizes[3], -1);
            Tensor Grouped(Tensor x) => x.view(sizes[0], sizes[1], sizes[2], sizes[3], -1);
            var scores = Grouped(matmul(Rows(query), _keys[0].transpose(2, 3))) + mask;
            var laterScores = _keys.Skip(1).Select(key => (query * key.unsqueeze(2)).sum(-1, keepdim: true));
            var probabilities = cat([scores, .. laterScores], -1).softmax(-1, ScalarType.Float32).to(query.dtype);
            var attended = Grouped(matmul(Rows(probabilities.narrow(-1, 0, sizes[3])), _values[0]));
            for (var step = 1; step < _values.Count; step++)
                attended = attended + probabilities.narrow(-1, sizes[3] + step - 1, 1) * _values[step].unsqueeze(2);
            return attended;
        }

        private static Tensor Rotate(Tensor x, Tensor cos, Tensor sin) => x * cos + x.roll(x.shape[^1] / 2, -1) * sin;
    }
}
