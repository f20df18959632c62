using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Trace;

namespace Koala.Cli.Output;

/// <summary>An answer, and the second at which each of its chunks came.</summary>
internal sealed record TimedAnswer(Generation Answer, IReadOnlyList<(double Second, GenerationChunk Chunk)> Chunks)
{
    public double TokensPerSecond => Answer.Tokens.Count / Answer.Seconds;

    public double AcceptanceLength => new DecodingTrace(Answer.Rounds).AcceptanceLength;

    public static TimedAnswer Of(
        SpeculativeDecoder decoder, IReadOnlyList<int> prompt, GenerationOptions options, CancellationToken cancel)
    {
        var chunks = new List<(double, GenerationChunk)>();
        var start = TimeProvider.System.GetTimestamp();
        var answer = decoder.Generate(prompt, options,
            chunk => chunks.Add((TimeProvider.System.GetElapsedTime(start).TotalSeconds, chunk)), cancel);
        return new TimedAnswer(answer, chunks);
    }

    /// <summary>The answer of median speed.</summary>
    public static TimedAnswer Median(IReadOnlyList<TimedAnswer> answers) =>
        answers.OrderBy(answer => answer.TokensPerSecond).ElementAt(answers.Count / 2);
}

/// <summary>The same answer, by the target alone and with a head.</summary>
internal sealed record Race(TimedAnswer Alone, TimedAnswer WithHead)
{
    /// <summary>Whether the two texts are equal, token by token.</summary>
    public bool Equal => Alone.Answer.Tokens.SequenceEqual(WithHead.Answer.Tokens) && Alone.Answer.Text == WithHead.Answer.Text;

    /// <summary>The index of the first token that differs.</summary>
    public int FirstDifference => Alone.Answer.Tokens.Zip(WithHead.Answer.Tokens).TakeWhile(pair => pair.First == pair.Second).Count();
}
