using System.Globalization;
using Koala.Lab;

namespace Koala.Cli.Options;

/// <summary>The part of a sweep's cells that one process works on: the i-th, (i+n)-th and so on, counted from 1.</summary>
/// <param name="Index">i, from 1 to n.</param>
/// <param name="Count">n.</param>
/// <param name="Origin">Where it comes from, for messages.</param>
internal sealed record Shard(int Index, int Count, string Origin)
{
    /// <summary>
    /// Reads <c>--shard i/n</c>, or else what a Slurm array or a launcher such as torchrun sets; null if there is nothing.
    /// </summary>
    /// <param name="given">The option's value.</param>
    /// <param name="variable">Reads an environment variable.</param>
    /// <exception cref="KoalaException">The value is not a shard.</exception>
    public static Shard? Find(string? given, Func<string, string?> variable)
    {
        if (given is not null)
        {
            return given.Split('/') is [var i, var n] ? Create(i, n, first: 1, "--shard") : throw Fault("--shard", given);
        }
        if (variable("SLURM_ARRAY_TASK_ID") is { Length: > 0 } task && variable("SLURM_ARRAY_TASK_COUNT") is { Length: > 0 } tasks)
        {
            // An array can begin at any number and skip some.
            var step = Number(variable("SLURM_ARRAY_TASK_STEP") ?? "1", "SLURM_ARRAY_TASK_STEP");
            var least = Number(variable("SLURM_ARRAY_TASK_MIN") ?? "0", "SLURM_ARRAY_TASK_MIN");
            var number = (Number(task, "SLURM_ARRAY_TASK_ID") - least) / Math.Max(1, step);
            return Create($"{number}", tasks, first: 0, "SLURM_ARRAY_TASK_ID");
        }
        return variable("RANK") is { Length: > 0 } rank && variable("WORLD_SIZE") is { Length: > 0 } size
            ? Create(rank, size, first: 0, "RANK")
            : null;
    }

    /// <summary>The cells of this shard.</summary>
    public IReadOnlyList<T> Of<T>(IReadOnlyList<T> cells) => [.. cells.Where((_, i) => i % Count == Index - 1)];

    private static Shard Create(string index, string count, int first, string origin)
    {
        var shard = new Shard(Number(index, origin) - first + 1, Number(count, origin), origin);
        return shard.Count >= 1 && shard.Index >= 1 && shard.Index <= shard.Count ? shard : throw Fault(origin, $"{index} of {count}");
    }

    private static int Number(string text, string origin) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : throw Fault(origin, text);

    private static KoalaException Fault(string origin, string value) => new(origin, $"is '{value}', which is no part of a whole",
        origin == "--shard" ? "give the first of four parts as 1/4" : "correct the variables, or give --shard 1/4");
}
