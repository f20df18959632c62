using Koala.Lab.Decoding;

namespace Koala.Lab.Regeneration;

/// <summary>One of many prompts to answer.</summary>
/// <param name="Tokens">Token ids, at least one; they leave room in the context.</param>
/// <param name="Stream">Number of the prompt under the seed: what it draws depends on the two only.</param>
public sealed record BatchPrompt(IReadOnlyList<int> Tokens, int Stream = 0);

/// <summary>The answer to one of many prompts.</summary>
/// <param name="Prompt">Its number among the prompts, from 0.</param>
/// <param name="Tokens">The answer's token ids; the end-of-sequence id is the last one where it came.</param>
/// <param name="FinishReason">Why it ended.</param>
public sealed record BatchAnswer(int Prompt, IReadOnlyList<int> Tokens, FinishReason FinishReason);

/// <summary>Where the time of batched decoding went, in seconds.</summary>
/// <param name="Prefill">Reading prompts, up to their first tokens on the host.</param>
/// <param name="Steps">The target's steps, up to their tokens on the host.</param>
/// <param name="Host">The rest: committing tokens, handing answers out.</param>
public sealed record BatchTimes(double Prefill, double Steps, double Host);
