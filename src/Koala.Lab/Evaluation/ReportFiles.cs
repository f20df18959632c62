using System.Text;
using System.Text.Json;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Evaluation;

/// <summary>Reports in files: NAME.json holds the report, and NAME.answers.jsonl beside it holds a line per answer.</summary>
public static class ReportFiles
{
    private const long LongestReport = 64L << 20;

    /// <summary>The file of the answers that belong to a report's file.</summary>
    public static string AnswersOf(string report) => Path.ChangeExtension(report, ".answers.jsonl");

    /// <summary>Writes a report and its answers.</summary>
    /// <param name="report">The report.</param>
    /// <param name="file">The report's file; both files are replaced.</param>
    /// <exception cref="KoalaException">A file cannot be written.</exception>
    public static void Save(EvaluationReport report, string file)
    {
        ArgumentNullException.ThrowIfNull(report);
        var lines = new StringBuilder();
        foreach (var answer in report.Answers) lines.Append(JsonSerializer.Serialize(answer, JsonFormat.Line)).Append('\n');
        // The report comes last: where it is, its answers are.
        if (report.Answers.Count > 0) AtomicFile.WriteText(AnswersOf(file), lines.ToString());
        AtomicFile.WriteText(file, JsonSerializer.Serialize(report, JsonFormat.Document) + "\n");
    }

    /// <summary>Reads a report, with its answers where they are beside it.</summary>
    /// <exception cref="KoalaException">A file is missing or no report of an evaluation.</exception>
    public static EvaluationReport Load(string file)
    {
        ArgumentNullException.ThrowIfNull(file);
        var report = Parse<EvaluationReport>(InputFile.Read(file, LongestReport), file, "is not a report of koala evaluate");
        var answers = AnswersOf(file);
        return File.Exists(answers) ? report with { Answers = ReadAnswers(answers, report.Prompts) } : report;
    }

    /// <summary>Removes a report and its answers.</summary>
    /// <exception cref="KoalaException">A file cannot be removed.</exception>
    internal static void Remove(string file)
    {
        try
        {
            // The report goes first: answers without their report count for nothing.
            File.Delete(file);
            File.Delete(AnswersOf(file));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            var reason = MessageText.Text(e.Message.TrimEnd('.'));
            throw new KoalaException(file, $"cannot be removed ({reason})", "make its folder writable", e);
        }
    }

    private static AnswerReport[] ReadAnswers(string file, int count)
    {
        var lines = InputFile.ReadText(file, LongestReport).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        if (lines.Length != count)
        {
            throw new KoalaException(file, $"has {lines.Length} lines for {count} answers of its report",
                "measure again, or remove the file");
        }
        return [.. lines.Select((line, i) =>
            Parse<AnswerReport>(Encoding.UTF8.GetBytes(line), $"{file}, line {i + 1}", "is not an answer of koala evaluate"))];
    }

    private static T Parse<T>(ReadOnlySpan<byte> json, string where, string wrong)
    {
        const string Fix = "measure again and save the report";
        try
        {
            return JsonSerializer.Deserialize<T>(json, JsonFormat.Document) ?? throw new KoalaException(where, wrong, Fix);
        }
        catch (JsonException e)
        {
            throw new KoalaException(where, $"{wrong} ({MessageText.Text(e.Message)})", Fix);
        }
    }
}
