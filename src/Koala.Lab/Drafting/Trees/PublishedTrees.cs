namespace Koala.Lab.Drafting.Trees;

/// <summary>Trees that were published with heads.</summary>
internal static class PublishedTrees
{
    /// <summary>The trees by name, each a list of paths of child ranks.</summary>
    public static IReadOnlyDictionary<string, int[][]> All { get; } = new Dictionary<string, int[][]>
    {
        // Medusa's for Vicuna-7B (arXiv 2401.10774): 63 nodes in 4 levels; Hydra uses it too.
        ["mc_sim_7b_63"] =
        [
            [0], [0, 0], [1], [0, 1], [2], [0, 0, 0], [1, 0], [0, 2], [3], [0, 3], [4], [0, 4], [2, 0], [0, 5], [0, 0, 1], [5],
            [0, 6], [6], [0, 7], [0, 1, 0], [1, 1], [7], [0, 8], [0, 0, 2], [3, 0], [0, 9], [8], [9], [1, 0, 0], [0, 2, 0],
            [1, 2], [0, 0, 3], [4, 0], [2, 1], [0, 0, 4], [0, 0, 5], [0, 0, 0, 0], [0, 1, 1], [0, 0, 6], [0, 3, 0], [5, 0],
            [1, 3], [0, 0, 7], [0, 0, 8], [0, 0, 9], [6, 0], [0, 4, 0], [1, 4], [7, 0], [0, 1, 2], [2, 0, 0], [3, 1], [2, 2],
            [8, 0], [0, 5, 0], [1, 5], [1, 0, 1], [0, 2, 1], [9, 0], [0, 6, 0], [0, 0, 0, 1], [1, 6], [0, 7, 0],
        ],
        // EAGLE's first (arXiv 2401.15077): 25 nodes in 5 levels.
        ["eagle-1"] =
        [
            [0], [1], [2], [3], [0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [2, 0], [2, 1], [3, 0], [0, 0, 0], [0, 0, 1], [0, 0, 2],
            [0, 1, 0], [0, 1, 1], [0, 2, 0], [0, 2, 1], [1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 2], [0, 0, 0, 0, 0],
            [0, 0, 0, 0, 1],
        ],
    };
}
