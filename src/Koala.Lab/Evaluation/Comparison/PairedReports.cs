namespace Koala.Lab.Evaluation.Comparison;

/// <summary>Two sides of a comparison: a report for each seed, whose answers are paired by prompt and whose seeds by order.</summary>
/// <param name="A">The reports of the first side.</param>
/// <param name="B">The reports of the second side.</param>
/// <param name="Keys">The prompts and turns that all reports have.</param>
internal sealed record PairedReports(
    IReadOnlyList<EvaluationReport> A, IReadOnlyList<EvaluationReport> B, IReadOnlyList<(string Prompt, int Turn)> Keys)
{
    private const int MostNamed = 3;
    private const string SamePrompts = "evaluate both with the same prompts and turns";

    /// <summary>Pairs reports.</summary>
    /// <param name="nameA">The first side's name in messages.</param>
    /// <param name="a">Its reports.</param>
    /// <param name="nameB">The second side's name in messages.</param>
    /// <param name="b">Its reports.</param>
    /// <exception cref="KoalaException">They cannot be compared.</exception>
    public static PairedReports Create(
        string nameA, IReadOnlyList<EvaluationReport> a, string nameB, IReadOnlyList<EvaluationReport> b)
    {
        if (a.Count != b.Count)
        {
            throw new KoalaException(nameB, $"has {b.Count} reports, and {nameA} has {a.Count}, but each seed of one is paired with one "
                + "of the other", "give as many reports on both sides");
        }
        foreach (var (name, reports) in ((string, IReadOnlyList<EvaluationReport>)[])[(nameA, a), (nameB, b)])
            foreach (var report in reports) CheckAnswers(name, report);
        var first = a[0];
        var keys = first.Answers.Select(answer => answer.Key).ToArray();
        foreach (var (name, other) in a.Skip(1).Select(r => (nameA, r)).Concat(b.Select(r => (nameB, r))))
        {
            if (other.Target != first.Target)
                throw new KoalaException(name, $"measured {other.Target}, and {nameA} {first.Target}", "compare heads of one target");
            if (other.Temperature != first.Temperature)
            {
                throw new KoalaException(name, FormattableString.Invariant(
                    $"has temperature {other.Temperature}, and {nameA} {first.Temperature}"), "evaluate both with the same temperature");
            }
            CheckPrompts(nameA, keys, name, [.. other.Answers.Select(answer => answer.Key)]);
            if ((first.Provenance?.PromptsHash, other.Provenance?.PromptsHash) is ({ } one, { } two) && one != two)
                throw new KoalaException(name, $"has the same ids from another file of prompts than {nameA}", SamePrompts);
        }
        return new PairedReports(a, b, keys);
    }

    /// <summary>The answers of a report in the order of the keys.</summary>
    public AnswerReport[] Answers(EvaluationReport report)
    {
        var byKey = report.Answers.ToDictionary(answer => answer.Key);
        return [.. Keys.Select(key => byKey[key])];
    }

    private static void CheckAnswers(string name, EvaluationReport report)
    {
        if (report.Answers.Count == 0)
        {
            throw new KoalaException(name, "has no answers beside its report (NAME.answers.jsonl), so nothing can be paired",
                "measure again and save the report with its answers");
        }
        if (report.Answers.CountBy(answer => answer.Key).FirstOrDefault(pair => pair.Value > 1) is { Value: > 1 } twice)
        {
            throw new KoalaException(name, $"has several answers to {Text(twice.Key)}, so nothing can be paired",
                "give each prompt an id of its own");
        }
    }

    private static void CheckPrompts(string nameA, (string, int)[] a, string nameB, (string, int)[] b)
    {
        var parts = new List<string>();
        void Only(string name, (string, int)[] keys)
        {
            if (keys.Length == 0) return;
            var more = keys.Length > MostNamed ? $" and {keys.Length - MostNamed} more" : "";
            parts.Add($"only {name} has {string.Join(", ", keys.Take(MostNamed).Select(Text))}{more}");
        }
        Only(nameA, [.. a.Except(b)]);
        Only(nameB, [.. b.Except(a)]);
        if (parts.Count > 0) throw new KoalaException(nameB, $"has other prompts than {nameA}: {string.Join("; ", parts)}", SamePrompts);
    }

    private static string Text((string Prompt, int Turn) key) =>
        $"prompt {MessageText.Text(key.Prompt)}{(key.Turn == 1 ? "" : $" turn {key.Turn}")}";
}
