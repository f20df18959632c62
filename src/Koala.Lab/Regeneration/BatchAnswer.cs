using Koala.Lab.Decoding;

namespace Koala.Lab.Regeneration;

/// <summary>A prompt for batched decoding.</summary>
/// <param name="Tokens">The token ids, at least one. They must leave room for an answer in the context.</param>
/// <param name="Stream">
/// The number of the prompt's random stream under the seed. The random numbers of the prompt depend only on the two.
/// </param>
public sealed record BatchPrompt(IReadOnlyList<int> Tokens, int Stream = 0);

/// <summary>An answer of batched decoding.</summary>
/// <param name="Prompt">The index of the prompt, counted from 0.</param>
/// <param name="Tokens">
/// The token ids of the answer. An end-of-sequence token that ended the answer is the last of them.
/// </param>
/// <param name="FinishReason">Why the answer ended.</param>
public sealed record BatchAnswer(int Prompt, IReadOnlyList<int> Tokens, FinishReason FinishReason);

/// <summary>The time that batched decoding took, in seconds.</summary>
/// <param name="Prefill">The time to read prompts, until their first tokens are on the host.</param>
/// <param name="Steps">The time of the target's steps, until their tokens are on the host.</param>
/// <param name="Host">The rest: the time to commit tokens and to return answers.</param>
public sealed record BatchTimes(double Prefill, double Steps, double Host);
