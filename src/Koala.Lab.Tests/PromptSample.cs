namespace Koala.Lab.Tests;

/// <summary>
/// The sample sizes of tests that could try every prompt, or disturb many runs: a few in `dotnet test`, all of them in
/// docs/thorough.sh.
/// </summary>
internal static class PromptSample
{
    /// <summary>The value of the trait <see cref="Category"/> by which docs/thorough.sh selects tests.</summary>
    public const string Sampled = nameof(Sampled);

    /// <summary>
    /// The name of the trait. The tests that .ci/run repeats in the arithmetic of other processors have it too, with
    /// the value <see cref="Numeric"/>.
    /// </summary>
    public const string Category = nameof(Category);

    /// <summary>
    /// The trait value of tests whose result depends on the order in which floating-point sums are added up.
    /// </summary>
    public const string Numeric = nameof(Numeric);

    /// <summary>
    /// The trait value of tests that kill processes and fill disks, which docs/thorough.sh selects for its second part.
    /// </summary>
    public const string Disturbed = nameof(Disturbed);

    private static readonly bool s_thorough = Environment.GetEnvironmentVariable("KOALA_THOROUGH") == "1";

    /// <summary>The number of prompts, draws or disturbances to try.</summary>
    /// <param name="all">The number in docs/thorough.sh, which sets KOALA_THOROUGH=1.</param>
    /// <param name="few">The number in `dotnet test`.</param>
    public static int Count(int all, int few) => s_thorough ? all : few;

    /// <summary>
    /// Elements at equal distances over the whole list, the same ones in every run, or the whole list if it is not
    /// longer.
    /// </summary>
    public static IReadOnlyList<T> Spread<T>(IReadOnlyList<T> list, int count) =>
        count >= list.Count ? list : [.. Enumerable.Range(0, count).Select(i => list[(2 * i + 1) * list.Count / (2 * count)])];
}
