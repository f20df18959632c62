using System.Globalization;

namespace Koala.Lab.Regeneration;

/// <summary>The result of answering a file.</summary>
/// <param name="Chats">The number of lines written.</param>
/// <param name="Answers">The number of answers in these lines.</param>
/// <param name="Tokens">The number of tokens of all answers, end-of-sequence tokens included.</param>
/// <param name="Cut">
/// The number of chats that end in an answer that was cut off at the token limit or at the end of the context.
/// </param>
/// <param name="Shortened">
/// The number of chats that end early, at an answer that was cut off or before a turn that does not fit the context.
/// </param>
/// <param name="Skipped">
/// The number of lines that are left out because their first turn leaves no room in the context.
/// </param>
/// <param name="Seconds">
/// The seconds of this process, from the first prompt that is tokenised until the file is written.
/// </param>
/// <param name="TokensPerSecond">The tokens per second of this process.</param>
public sealed record RegenerationReport(
    int Chats, int Answers, long Tokens, int Cut, int Shortened, int Skipped, double Seconds, double TokensPerSecond)
{
    /// <summary>The report in one line.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{Chats} chats with {Answers} answers of {Tokens} tokens, {Seconds:F0} s, {TokensPerSecond:F0} tokens/s; "
        + $"{(double)Cut / Chats:P0} end in a cut answer, {Shortened} before their last turn; {Skipped} skipped");
}

/// <summary>The progress of answering a file.</summary>
/// <param name="Done">The number of answers so far, those of an earlier process included.</param>
/// <param name="Total">The number of answers in total.</param>
/// <param name="Tokens">The number of tokens of the answers of this process.</param>
/// <param name="AnswersBefore">The number of answers that were there when this process began.</param>
public sealed record RegenerationProgress(int Done, int Total, long Tokens, int AnswersBefore);
