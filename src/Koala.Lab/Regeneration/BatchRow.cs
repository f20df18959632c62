using Koala.Lab.Decoding;
using Koala.Lab.Runtime;
using MathNet.Numerics.Random;

namespace Koala.Lab.Regeneration;

/// <summary>The state on the host of the answer in a row of the batch.</summary>
internal sealed class BatchRow(int number, BatchPrompt prompt, IReadOnlyList<int> ends, int context, GenerationOptions options)
{
    private readonly int _limit = Math.Min(options.MaxTokens, context - prompt.Tokens.Count);
    private readonly List<int> _tokens = [];
    private readonly RandomSource _random = RandomStreams.Create(options.Seed, prompt.Stream);
    private FinishReason _finish;

    public IReadOnlyList<int> Prompt => prompt.Tokens;

    /// <summary>The latest token, which is the input of the next step.</summary>
    public int Last => _tokens[^1];

    public bool Ended { get; private set; }

    public BatchAnswer Answer => new(number, _tokens, _finish);

    /// <summary>Appends the next token of the answer. Tokens after the end of the answer are dropped.</summary>
    public void Commit(int token)
    {
        if (Ended) return;
        _tokens.Add(token);
        if (ends.Contains(token)) (Ended, _finish) = (true, FinishReason.Stop);
        else if (_tokens.Count >= _limit) (Ended, _finish) = (true, FinishReason.Length);
    }

    /// <summary>
    /// The random number for the next token. It comes from the prompt's own stream, which gives one number per token.
    /// </summary>
    public double NextUniform() => _random.NextDouble();
}
