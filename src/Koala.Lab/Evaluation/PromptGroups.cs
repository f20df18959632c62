using Koala.Lab.Data;
using Koala.Lab.Evaluation.Statistics;

namespace Koala.Lab.Evaluation;

/// <summary>Groups of prompts, each of one category.</summary>
internal static class PromptGroups
{
    /// <summary>
    /// The most prompts of a group for each answer of a batch. So most rounds have a full batch, and the last answers of a group, which run
    /// alone, do not decide its speed. With more prompts the two sides would take turns less often.
    /// </summary>
    public const int PromptsPerPlace = 4;

    // The most groups from which a draft length is chosen; there is no time for more.
    private const int FewGroups = 32;

    // The fewest prompts for each answer of a batch.
    private const int FewestPromptsPerPlace = 2;

    /// <summary>
    /// The groups that are measured: as large as leaves enough of them for an interval. A batch of 1 has no last answers that run alone, so
    /// its groups are single prompts.
    /// </summary>
    /// <param name="prompts">The prompts.</param>
    /// <param name="batch">The number of answers at once.</param>
    public static IReadOnlyList<Prompt[]> Measured(IReadOnlyList<Prompt> prompts, int batch)
    {
        if (batch == 1) return [.. ByCategory(prompts, 1)];
        var sizes = Enumerable.Range(FewestPromptsPerPlace, PromptsPerPlace - FewestPromptsPerPlace + 1).Reverse();
        Prompt[][][] groupings = [.. sizes.Select(perPlace => ByCategory(prompts, batch * perPlace).ToArray())];
        return groupings.FirstOrDefault(groups => groups.Length >= Bootstrap.FewestItems, groupings[0]);
    }

    /// <summary>
    /// Forms groups of one category each, so that the speed of each category is measured. With a size of 1 they are in the order of the
    /// file.
    /// </summary>
    public static IEnumerable<Prompt[]> ByCategory(IReadOnlyList<Prompt> prompts, int size)
    {
        var categories = prompts.Index().GroupBy(prompt => prompt.Item.Category);
        var groups = categories.SelectMany(category => category.Chunk(size)).OrderBy(group => group[0].Index);
        return groups.Select(group => group.Select(prompt => prompt.Item).ToArray());
    }

    /// <summary>
    /// Chooses a few groups that are spread over the whole file. The first of them are spread too, because there may be time for only
    /// these.
    /// Files are sorted by category, and a head is better in some categories than in others.
    /// </summary>
    public static IEnumerable<Prompt[]> Spread(IReadOnlyList<Prompt[]> groups)
    {
        // Multiples of the golden ratio, modulo 1, are spread evenly, however many of them are used.
        const double golden = 0.6180339887498949;
        var indices = Enumerable.Range(0, FewGroups).Select(i => (int)(i * golden % 1 * groups.Count)).Distinct();
        return indices.Select(index => groups[index]);
    }
}
