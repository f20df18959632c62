using System.Diagnostics;
using Koala.Lab.Data;
using Koala.Lab.Evaluation;
using Koala.Lab.Heads;
using Koala.Lab.Targets;

namespace Koala.Cli.Output;

/// <summary>What <c>evaluate</c> and <c>train --evaluate</c> have in common: progress, and what a report means for the exit code.</summary>
internal static class EvaluationWork
{
    private const int Milestones = 10;

    public static EvaluationReport Run(Streams streams, bool quiet, Target target, IDraftSource source, string name, IReadOnlyList<Prompt> prompts,
        EvaluationOptions options, CancellationToken cancel)
    {
        EvaluationReport? report = null;
        ProgressLine.Run(streams, quiet, show =>
            report = Evaluator.Run(target, source, name, prompts, options, new Progress(show), cancel));
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

    private sealed class Progress(Report show) : IProgress<EvaluationProgress>
    {
        private readonly long _start = Stopwatch.GetTimestamp();
        private int _before;

        public void Report(EvaluationProgress value)
        {
            var left = Stopwatch.GetElapsedTime(_start).TotalSeconds / value.Done * (value.Total - value.Done);
            var milestone = value.Done * Milestones / value.Total > _before * Milestones / value.Total;
            _before = value.Done;
            show(value.Done, value.Total, $"evaluating: prompt {value.Done}/{value.Total}, {ProgressLine.Time(left)} left", milestone);
        }
    }
}
