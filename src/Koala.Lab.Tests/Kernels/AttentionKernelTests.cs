using Koala.Lab.Kernels;

namespace Koala.Lab.Tests.Kernels;

/// <summary>Attention of one query over the slots that it sees, of random widths, contexts and trees, against doubles.</summary>
[Trait(PromptSample.Category, PromptSample.Numeric)]
public sealed unsafe class AttentionKernelTests
{
    [Fact, Trait(PromptSample.Category, PromptSample.Sampled)]
    public void Attention_is_near_a_softmax_in_doubles()
    {
        var random = new Random(1);
        for (var i = 0; i < PromptSample.Count(3000, 150); i++)
        {
            using var attention = new Attention(random, Math.Pow(2, random.Next(-4, 3)));
            attention.AssertNearDoubles(attention.Run());
        }
    }

    /// <summary>The same sequence has the same result, whether its slots are scattered or have been moved together.</summary>
    [Fact, Trait(PromptSample.Category, PromptSample.Sampled)]
    public void A_candidate_among_others_gets_the_bits_that_it_gets_alone()
    {
        var random = new Random(2);
        for (var i = 0; i < PromptSample.Count(3000, 150); i++)
        {
            using var attention = new Attention(random, 1);
            using var together = attention.MovedTogether();
            var expected = together.Run();
            Numbers.AssertSameBits(expected, attention.Run(), attention.ToString());
            Numbers.AssertSameBits(expected, attention.RunInPlace(), attention.ToString());
        }
    }

    [Fact]
    public void Large_scores_do_not_overflow()
    {
        var random = new Random(3);
        for (var i = 0; i < 100; i++)
        {
            using var attention = new Attention(random, 1);
            // One key points along the query, and the others away from it.
            var best = random.Next(attention.Slots.Count);
            for (var slot = 0; slot < attention.Slots.Count; slot++)
                for (var k = 0; k < attention.Width; k++)
                    attention.Key(slot)[k] = attention.Query.Numbers[k] * (slot == best ? 1e36f : -1e36f) / attention.Width;
            Numbers.AssertSameBits(attention.Value(best), attention.Run(), attention.ToString());
        }
    }

    [Fact]
    public void Equal_scores_give_the_mean()
    {
        var random = new Random(4);
        for (var i = 0; i < 100; i++)
        {
            using var attention = new Attention(random, 1);
            for (var slot = 1; slot < attention.Slots.Count; slot++) attention.Key(0).CopyTo(attention.Key(slot));
            var result = attention.Run();
            for (var k = 0; k < attention.Width; k++)
            {
                var (sum, size) = (0.0, 0.0);
                for (var slot = 0; slot < attention.Slots.Count; slot++)
                {
                    sum += attention.Value(slot)[k];
                    size += Math.Abs(attention.Value(slot)[k]);
                }
                var count = attention.Slots.Count;
                // The sum of so many ones is exact.
                Numbers.AssertNear(sum / count, result[k], (count + 2) * Numbers.UnitRoundoff * size / count, attention.ToString());
            }
        }
    }

    private sealed class Attention : IDisposable
    {
        private readonly float _scale;
        private readonly GuardedNumbers _keys;
        private readonly GuardedNumbers _values;
        private readonly VisibleSlots _visible;

        public Attention(Random random, double querySize)
        {
            Width = random.Next(8, 131);
            _scale = 1 / MathF.Sqrt(Width);
            var capacity = random.Next(1, 301);
            // In a third of the cases there is no tree, and in another third no context before it.
            var first = random.Next(3) switch { 0 => capacity, 1 => 0, _ => random.Next(capacity + 1) };
            var share = random.NextDouble();
            int[] further = [.. Enumerable.Range(first, capacity - first).Where(_ => random.NextDouble() < share)];
            if (first == 0 && further.Length == 0) further = [capacity - 1];
            _visible = new VisibleSlots(first, further);
            Query = new GuardedNumbers(Numbers.Random(random, Width, querySize));
            // What lies in slots that the query does not see is not a number.
            (_keys, _values) = (new GuardedNumbers(capacity * Width), new GuardedNumbers(capacity * Width));
            for (var slot = 0; slot < _visible.Count; slot++)
            {
                Numbers.Random(random, Width).CopyTo(Key(slot));
                Numbers.Random(random, Width).CopyTo(Value(slot));
            }
        }

        private Attention(Attention of)
        {
            (Width, _scale, _visible) = (of.Width, of._scale, new VisibleSlots(of._visible.Count, []));
            Query = new GuardedNumbers(of.Query.Numbers);
            (_keys, _values) = (new GuardedNumbers(_visible.Count * Width), new GuardedNumbers(_visible.Count * Width));
            for (var slot = 0; slot < _visible.Count; slot++)
            {
                of.Key(slot).CopyTo(Key(slot));
                of.Value(slot).CopyTo(Value(slot));
            }
        }

        public int Width { get; }

        public VisibleSlots Slots => _visible;

        public GuardedNumbers Query { get; }

        /// <summary>The key of a slot, counted among those that are visible.</summary>
        public Span<float> Key(int slot) => _keys.Numbers.Slice(At(slot) * Width, Width);

        public Span<float> Value(int slot) => _values.Numbers.Slice(At(slot) * Width, Width);

        public override string ToString() => $"width {Width}, {_visible.First} slots and {_visible.Further.Length} further ones";

        public Attention MovedTogether() => new(this);

        public float[] Run()
        {
            using var result = new GuardedNumbers(Width);
            Run(result);
            return result.Numbers.ToArray();
        }

        public float[] RunInPlace()
        {
            Run(Query);
            return Query.Numbers.ToArray();
        }

        public void Dispose()
        {
            Query.Dispose();
            _keys.Dispose();
            _values.Dispose();
        }

        public void AssertNearDoubles(float[] result)
        {
            var count = _visible.Count;
            var scores = new double[count];
            var scoreError = 0.0;
            const double U = Numbers.UnitRoundoff;
            for (var slot = 0; slot < count; slot++)
            {
                var size = 0.0;
                for (var k = 0; k < Width; k++)
                {
                    var term = (double)Query.Numbers[k] * Key(slot)[k] * _scale;
                    scores[slot] += term;
                    size += Math.Abs(term);
                }
                // The sum rounds at most once per term, then come the lanes' sum, the scale and the difference to the largest score.
                scoreError = Math.Max(scoreError, (Width + 8) * U * size);
            }
            var most = scores.Max();
            double[] weights = [.. scores.Select(score => Math.Exp(score - most))];
            var sum = weights.Sum();
            // Weights and their sum have the relative error of the scores, of the exponential function (two units in the last place) and
            // of the sums over the slots.
            var error = Math.Exp(2 * scoreError + (2 * count + 16) * U) - 1;
            for (var k = 0; k < Width; k++)
            {
                var (mean, size, largest) = (0.0, 0.0, 0.0);
                for (var slot = 0; slot < count; slot++)
                {
                    mean += weights[slot] / sum * Value(slot)[k];
                    size += weights[slot] / sum * Math.Abs(Value(slot)[k]);
                    largest = Math.Max(largest, Math.Abs(Value(slot)[k]));
                }
                // Weights below the smallest normal number may be lost.
                Numbers.AssertNear(mean, result[k], error * size + count * largest * 1.2e-38, ToString());
            }
        }

        private void Run(GuardedNumbers result)
        {
            using var scores = new GuardedNumbers(AttentionKernel.ScoreRoom(_visible.Count));
            AttentionKernel.Run(
                Query.Address, _keys.Address, _values.Address, _visible, Width, _scale, scores.Address, result.Address);
            result.AssertGuards(ToString());
            scores.AssertGuards(ToString());
        }

        private int At(int slot) => slot < _visible.First ? slot : _visible.Further[slot - _visible.First];
    }
}
