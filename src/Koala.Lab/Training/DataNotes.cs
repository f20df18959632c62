using Koala.Lab.Data;

namespace Koala.Lab.Training;

/// <summary>What a user should know about the data of a training, a sentence each.</summary>
internal static class DataNotes
{
    /// <summary>The notes about the file of conversations for training.</summary>
    /// <param name="path">The file.</param>
    /// <param name="packed">The conversations of the file.</param>
    /// <param name="rows">The rows for training.</param>
    /// <param name="options">The training options.</param>
    public static IEnumerable<MessageTemplate> Of(
        string path, PackedConversations packed, IReadOnlyList<PackedRow> rows, TrainingOptions options)
    {
        foreach (var note in Unusable(path, packed)) yield return note;
        if (packed.Cut > 0)
            yield return $"{packed.Cut} of {packed.Conversations} conversations are longer than a row of {packed.RowLength} tokens "
                + $"and lose their end ({new OptionName(nameof(options.RowLength))})";
        var learned = rows.Sum(row => row.LossMask.Count(isLearned => isLearned));
        var empty = rows.Count(row => !row.LossMask.Contains(true));
        // With fewer tokens than steps there is, on average, not one new token per step.
        if (learned < options.Steps || 2 * empty > rows.Count)
            yield return $"there is little to learn: {learned} tokens of answers for {options.Steps} steps; "
                + $"{empty} of {rows.Count} rows have none";
    }

    /// <summary>The note about chats of a file that are left out, if there are any.</summary>
    public static IEnumerable<MessageTemplate> Unusable(string path, PackedConversations packed)
    {
        if (packed.Unusable == 0) yield break;
        var all = packed.Unusable + packed.Conversations;
        yield return $"{packed.Unusable} of {all} chats of {path} cannot be used and are left out: {packed.FirstUnusable}";
    }
}
