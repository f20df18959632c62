namespace Koala.Lab.Tests;

/// <summary>
/// How much the tests do that would rather do everything: a few prompts in `dotnet test`, all of them in
/// docs/thorough.sh.
/// </summary>
internal static class PromptSample
{
    /// <summary>The value of the trait <see cref="Category"/> that docs/thorough.sh selects the tests by.</summary>
    public const string Sampled = nameof(Sampled);

    /// <summary>The trait's name, also that of the tests that .ci/run repeats as on other processors, <see cref="Numeric"/>.</summary>
    public const string Category = nameof(Category);

    /// <summary>Tests whose result hangs on the order in which floating-point sums are added up.</summary>
    public const string Numeric = nameof(Numeric);

    private static readonly bool s_thorough = Environment.GetEnvironmentVariable("KOALA_THOROUGH") == "1";

    /// <summary>A number of prompts or draws.</summary>
    /// <param name="all">In docs/thorough.sh, which sets KOALA_THOROUGH=1.</param>
    /// <param name="few">In `dotnet test`.</param>
    public static int Count(int all, int few) => s_thorough ? all : few;

    /// <summary>Elements at equal distances over the whole list, the same ones in every run; all of them where there are fewer.</summary>
    public static IReadOnlyList<T> Spread<T>(IReadOnlyList<T> list, int count) =>
        count >= list.Count ? list : [.. Enumerable.Range(0, count).Select(i => list[(2 * i + 1) * list.Count / (2 * count)])];
}
