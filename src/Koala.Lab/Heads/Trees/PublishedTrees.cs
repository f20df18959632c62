namespace Koala.Lab.Heads.Trees;

/// <summary>Trees that were published with heads.</summary>
public static class PublishedTrees
{
    /// <summary>Medusa's tree of 63 candidates, fitted to Vicuna-7B's heads (FasterDecoding/Medusa, medusa_choices.py).</summary>
    public static StaticShape McSim7b63 { get; } = new("mc_sim_7b_63", Parse(
        "0 0,0 1 0,1 2 0,0,0 1,0 0,2 3 0,3 4 0,4 2,0 0,5 0,0,1 5 0,6 6 0,7 0,1,0 1,1 7 0,8 0,0,2 3,0 0,9 8 9 1,0,0 0,2,0 1,2 0,0,3 4,0 2,1 0,0,4 0,0,5 "
        + "0,0,0,0 0,1,1 0,0,6 0,3,0 5,0 1,3 0,0,7 0,0,8 0,0,9 6,0 0,4,0 1,4 7,0 0,1,2 2,0,0 3,1 2,2 8,0 0,5,0 1,5 1,0,1 0,2,1 9,0 0,6,0 0,0,0,1 1,6 0,7,0"));

    /// <summary>EAGLE-1's tree of 25 candidates (SafeAILab/EAGLE, choices.py).</summary>
    public static StaticShape Eagle1 { get; } = new("eagle-1", Parse(
        "0 1 2 3 0,0 0,1 0,2 1,0 1,1 2,0 2,1 3,0 0,0,0 0,0,1 0,0,2 0,1,0 0,1,1 0,2,0 0,2,1 1,0,0 0,0,0,0 0,0,0,1 0,0,0,2 0,0,0,0,0 0,0,0,0,1"));

    /// <summary>All of them.</summary>
    public static IReadOnlyList<StaticShape> All { get; } = [McSim7b63, Eagle1];

    private static int[][] Parse(string paths) => [.. paths.Split(' ').Select(path => path.Split(',').Select(int.Parse).ToArray())];
}
