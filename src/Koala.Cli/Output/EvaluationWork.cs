using Koala.Lab.Data;
using Koala.Lab.Drafting;
using Koala.Lab.Evaluation;
using Koala.Lab.Targets;

namespace Koala.Cli.Output;

/// <summary>What <c>evaluate</c> and <c>train --evaluate</c> have in common: progress, and what a report means for the exit code.</summary>
internal static class EvaluationWork
{
    public static EvaluationReport Run(Streams streams, bool quiet, Target target, IDraftSource source, string name, IReadOnlyList<Prompt> prompts,
        EvaluationOptions options, CancellationToken cancel)
    {
        EvaluationReport? report = null;
        ProgressLine.Run(streams, quiet, show =>
            report = Evaluator.Run(target, source, name, prompts, options, new PromptProgressText(show, "evaluating"), cancel));
        if (report!.DraftLengthChosen && !quiet) streams.Error.WriteLine($"draft length {report.DraftLength}, chosen for this device by a short measurement; --draft-length sets it");
        return report;
    }

    /// <summary>In fp32 a difference that no near-tie explains is a failure; in bf16 near-ties are common and it is a figure of the report.</summary>
    public static int Judge(Streams streams, EvaluationReport report)
    {
        if (report is not { Lossless: false, Dtype: "fp32" }) return ExitCodes.Done;
        streams.Error.WriteLine($"not lossless: {report.Prompts - report.EqualAnswers - report.NearTies} of {report.Prompts} answers in fp32 differ from the target's own, and no near-tie explains it");
        return ExitCodes.CheckFailed;
    }
}
