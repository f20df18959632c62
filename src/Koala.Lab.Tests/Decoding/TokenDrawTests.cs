using Koala.Lab.Decoding.Sampling;
using MathNet.Numerics.Random;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Decoding;

/// <summary>Drawing many rows on the device equals drawing each row on the host.</summary>
public sealed class MultinomialTests
{
    [Fact]
    public void Rows_are_drawn_as_they_are_one_at_a_time()
    {
        using var scope = NewDisposeScope();
        var random = new Random(7);
        // The sums of these numbers are exact, so both ways of adding them reach the same bounds.
        float[][] weights = [.. Enumerable.Range(0, 200)
            .Select(_ =>
                Enumerable.Range(0, 50).Select(_ => random.Next(3) == 0 ? 0 : random.Next(1, 9) / 8f).ToArray())];
        double[] uniforms =
            [.. weights.Select((w, i) => i switch { 0 => 0, 1 => 1 - Math.Pow(2, -40), _ => random.NextDouble() })];
        var drawn = TokenDraw.SampleRows(tensor(weights.SelectMany(w => w).ToArray()).view(200, 50),
            tensor(uniforms).unsqueeze(1))
            .data<long>()
            .ToArray();
        Assert.Equal(weights.Select((w, i) => (long)TokenDraw.Sample(w, new Fixed(uniforms[i]))), drawn);
        Assert.All(drawn, (token, i) => Assert.True(weights[i][token] > 0));
    }

    private sealed class Fixed(double value) : RandomSource
    {
        protected override double DoSample() => value;
    }
}
