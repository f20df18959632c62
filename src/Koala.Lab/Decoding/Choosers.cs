using Koala.Lab.Heads;
using MathNet.Numerics.Random;
using static TorchSharp.torch;

namespace Koala.Lab.Decoding;

/// <summary>Takes the head's best tokens.</summary>
internal sealed class BestChooser(bool withProbabilities) : ICandidateChooser
{
    public bool TakesBest => !withProbabilities;

    public IReadOnlyList<Choice[]> Choose(Tensor logits, int count)
    {
        using var scope = NewDisposeScope();
        count = (int)Math.Min(count, logits.shape[1]);
        // argmax is a third of topk's time on a CPU.
        var best = count == 1 ? logits.argmax(-1, keepdim: true) : logits.topk(count).indexes;
        var tokens = best.cpu().data<long>().ToArray();
        var q = withProbabilities ? logits.to(ScalarType.Float32).softmax(-1).gather(1, best).cpu().data<float>().ToArray() : null;
        return [.. tokens.Select((token, i) => new Choice((int)token, q?[i], null)).Chunk(count)];
    }
}

/// <summary>Draws from the head's distribution, tempered and cut as the target's is, without replacement.</summary>
/// <param name="options">Temperature, top-k and top-p.</param>
/// <param name="random">A generator for each sequence, so that an answer does not depend on those beside it.</param>
internal sealed class DrawingChooser(GenerationOptions options, IReadOnlyList<RandomSource> random) : ICandidateChooser
{
    public IReadOnlyList<Choice[]> Choose(Tensor logits, int count) => Choose(logits, count, 1);

    public IReadOnlyList<Choice[]> Choose(Tensor logits, int count, int times)
    {
        var rows = Distributions.Of(logits, options);
        return [.. rows.SelectMany((q, row) => Enumerable.Range(0, times).Select(_ => DrawSome(q, count, random[row * random.Count / rows.Length])))];
    }

    internal static Choice[] DrawSome(float[] q, int count, RandomSource random)
    {
        var choices = new List<Choice>();
        var left = count > 1 ? (float[])q.Clone() : q;
        while (choices.Count < count && left.Any(x => x > 0))
        {
            var token = Draw.From(left, random);
            choices.Add(new Choice(token, q[token], q));
            if (choices.Count < count) left[token] = 0;
        }
        return [.. choices];
    }
}
