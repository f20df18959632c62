using System.Globalization;

namespace Koala.Lab.Regeneration;

/// <summary>What came of answering a file.</summary>
/// <param name="Chats">Lines written.</param>
/// <param name="Answers">In them.</param>
/// <param name="Tokens">Of all answers, end-of-sequence tokens counted.</param>
/// <param name="Cut">Chats that end in an answer cut at the token limit or at the end of the context.</param>
/// <param name="Shortened">Chats that end early: at a cut answer, or before a turn that does not fit the context.</param>
/// <param name="Skipped">Lines left out: their first turn leaves no room in the context.</param>
/// <param name="Seconds">Of this process, from the first prompt tokenised to the file's end.</param>
/// <param name="TokensPerSecond">Of this process.</param>
public sealed record RegenerationReport(int Chats, int Answers, long Tokens, int Cut, int Shortened, int Skipped, double Seconds, double TokensPerSecond)
{
    /// <summary>One line.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{Chats} chats with {Answers} answers of {Tokens} tokens, {Seconds:F0} s, {TokensPerSecond:F0} tokens/s; {(double)Cut / Chats:P0} end in a cut answer, {Shortened} before their last turn; {Skipped} skipped");
}

/// <summary>Where it stands.</summary>
/// <param name="Done">Answers there, those of an earlier process counted.</param>
/// <param name="Total">Answers in all.</param>
/// <param name="Tokens">Of the answers of this process.</param>
/// <param name="Began">How many answers were there when this process began.</param>
public sealed record RegenerationProgress(int Done, int Total, long Tokens, int Began);
