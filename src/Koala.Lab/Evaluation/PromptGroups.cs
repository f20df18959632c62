using Koala.Lab.Data;

namespace Koala.Lab.Evaluation;

/// <summary>Groups of prompts; a group is answered as one batch.</summary>
internal static class PromptGroups
{
    // More groups than that are not looked at to choose a draft length: there is no time for them.
    private const int FewGroups = 32;

    /// <summary>Groups of one category each, so that each category has a speed of its own; with a batch of 1 in the file's order.</summary>
    public static IEnumerable<Prompt[]> ByCategory(IReadOnlyList<Prompt> prompts, int batch)
    {
        var categories = prompts.Index().GroupBy(prompt => prompt.Item.Category);
        var groups = categories.SelectMany(category => category.Chunk(batch)).OrderBy(group => group[0].Index);
        return groups.Select(group => group.Select(prompt => prompt.Item).ToArray());
    }

    /// <summary>
    /// A few groups from all over the file, in an order in which the first of them are spread too: there may be time for only these.
    /// Files are sorted by category, and a head is better in some categories than in others.
    /// </summary>
    public static IEnumerable<Prompt[]> Spread(IReadOnlyList<Prompt[]> groups)
    {
        // Multiples of the golden ratio, modulo 1, are spread evenly wherever the sequence ends.
        const double golden = 0.6180339887498949;
        var places = Enumerable.Range(0, FewGroups).Select(i => (int)(i * golden % 1 * groups.Count)).Distinct();
        return places.Select(place => groups[place]);
    }
}
