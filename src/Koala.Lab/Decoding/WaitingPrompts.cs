using Koala.Lab.Runtime;
using Koala.Lab.Targets;
using MathNet.Numerics.Random;

namespace Koala.Lab.Decoding;

/// <summary>The prompts of a batch that have not begun yet, in their order, and the answers of those that have.</summary>
/// <param name="target">The target.</param>
/// <param name="prompts">The prompts.</param>
/// <param name="options">How answers are generated. Each prompt draws from a random stream of its own.</param>
/// <param name="onChunk">This gets what each round adds to an answer, with the index of its prompt.</param>
internal sealed class WaitingPrompts(
    Target target, IReadOnlyList<IReadOnlyList<int>> prompts, GenerationOptions options, Action<int, GenerationChunk>? onChunk)
{
    private readonly List<Sequence> _begun = [];

    /// <summary>The answers to all prompts, once all have ended.</summary>
    public Generation[] Answers => [.. _begun.Select(sequence => sequence.Finish())];

    /// <summary>The prompts that begin now in free places of a batch; none where no prompt waits or too few places are free.</summary>
    /// <param name="free">The free places, in ascending order.</param>
    /// <param name="batch">The number of places.</param>
    public IReadOnlyList<BegunAnswer> Next(int[] free, int batch)
    {
        var waiting = prompts.Count - _begun.Count;
        if (free.Length < Math.Min(RefillRule.LeastFree(target.Device, batch), waiting)) return [];
        return [.. free.Take(waiting).Select(Begin)];
    }

    private BegunAnswer Begin(int place)
    {
        var number = _begun.Count;
        var sequence = new Sequence(target, prompts[number], options, chunk => onChunk?.Invoke(number, chunk));
        _begun.Add(sequence);
        return new BegunAnswer(place, prompts[number], sequence, RandomStreams.Create(options.Seed, options.Stream + number));
    }
}

/// <summary>An answer that begins.</summary>
/// <param name="Place">The sequence of the batch that it takes.</param>
/// <param name="Prompt">The token ids of its prompt.</param>
/// <param name="Sequence">The answer, without tokens yet.</param>
/// <param name="Random">Its random generator.</param>
internal readonly record struct BegunAnswer(int Place, IReadOnlyList<int> Prompt, Sequence Sequence, RandomSource Random);
