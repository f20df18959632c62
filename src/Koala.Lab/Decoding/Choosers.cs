using Koala.Lab.Heads;
using MathNet.Numerics.Random;
using static TorchSharp.torch;

namespace Koala.Lab.Decoding;

/// <summary>Takes the head's best token.</summary>
internal sealed class BestChooser(bool withProbabilities) : ICandidateChooser
{
    public IReadOnlyList<Choice> Choose(Tensor logits)
    {
        using var scope = NewDisposeScope();
        var best = logits.argmax(-1);
        var tokens = best.cpu().data<long>().ToArray();
        var q = withProbabilities ? logits.to(ScalarType.Float32).softmax(-1).gather(1, best.unsqueeze(1)).cpu().data<float>().ToArray() : null;
        return tokens.Select((token, i) => new Choice((int)token, q?[i], null)).ToArray();
    }
}

/// <summary>Draws from the head's distribution, tempered and cut as the target's is.</summary>
internal sealed class DrawingChooser(GenerationOptions options, RandomSource random) : ICandidateChooser
{
    public IReadOnlyList<Choice> Choose(Tensor logits) => Distributions.Of(logits, options).Select(q =>
    {
        var token = Draw.From(q, random);
        return new Choice(token, q[token], q);
    }).ToArray();
}
