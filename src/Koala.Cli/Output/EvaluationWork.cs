using Koala.Lab.Data;
using Koala.Lab.Drafting;
using Koala.Lab.Evaluation;
using Koala.Lab.Targets;

namespace Koala.Cli.Output;

/// <summary>
/// What <c>evaluate</c> and <c>train --evaluate</c> have in common: the progress, and the exit code of a report.
/// </summary>
internal static class EvaluationWork
{
    public static EvaluationReport Run(Streams streams, bool quiet, Target target, IDraftSource source, string name,
        IReadOnlyList<Prompt> prompts, EvaluationOptions options, CancellationToken cancel)
    {
        EvaluationReport? report = null;
        ProgressLine.Run(streams, quiet, show =>
            report = Evaluator.Run(target, source, name, prompts, options, new PromptProgressText(show, "evaluating"), cancel));
        if (report!.DraftLengthChosen && !quiet) streams.Error.WriteLine(ChosenDraftText.Render(report));
        return report;
    }

    /// <summary>
    /// The exit code of a report. A measurement that other work disturbed is a failed check, and so is on a CPU any difference,
    /// and on a GPU in fp32 one that no near-tie explains. On a GPU in bf16 near-ties are common: the report only counts them.
    /// </summary>
    public static int ExitCodeOf(Streams streams, EvaluationReport report)
    {
        var disturbed = DisturbanceNote.ExitCodeOf(streams, report);
        if (report is not ({ Lossless: false, Device: "cpu" } or { Lossless: false, Dtype: "fp32" })) return disturbed;
        var different = report.Prompts - report.EqualAnswers - (report.NearTies ?? 0);
        streams.Error.WriteLine($"not lossless: {different} of {report.Prompts} answers differ from the target's own"
            + (report.NearTies is null ? "" : ", and no near-tie explains this"));
        return ExitCodes.CheckFailed;
    }
}
