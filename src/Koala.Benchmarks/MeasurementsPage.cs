using System.Globalization;
using System.Text;
using System.Text.Json;
using Koala.Lab.Evaluation;
using Koala.Lab.Evaluation.Statistics;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Runtime.Machine;

namespace Koala.Benchmarks;

/// <summary>Writes docs/measurements.md from the result files beside it, so that no figure in it is typed by hand.</summary>
internal static class MeasurementsPage
{
    // The suffixes that docs/measure.sh gives to the names of the heads.
    private const string Adversary = "-adversary";
    private const string Plain = "-plain";

    public static void Write(string results, string file)
    {
        var page = new StringBuilder();
        page.AppendLine("# Measurements").AppendLine();
        Paragraph(page, $"""
            The command `dotnet run -c Release --project src/Koala.Benchmarks -- report docs/results docs/measurements.md`
            writes this page from the files in `results/`; `docs/measure.sh` repeats the measurements. The machines are shared
            with other work, so trust the ratios more than the times.

            The steps beside llama.cpp, SmolLM2's heads on a CPU and the sections on a CPU with AVX-512 and on an H200 are of
            Koala's own kernels. The other figures are older: those of a CPU are of libtorch's operators, which decoding used
            until 2026-11-29, and those of the H100 of libtorch's steps. On a CPU the kernels make a target alone several times
            faster and heads less so, so speedups become smaller. The others are to be measured again.
            """);
        WriteDoctor(page, Read<DoctorReport>(Path.Combine(results, "doctor.json")));
        var steps = All<StepTimes>(results, "steps-*.json");
        WriteSteps(page, steps);
        WriteTraining(page, Read<TrainingTimes>(Path.Combine(results, "training.json")));
        WriteEvaluations(page, All<EvaluationReport>(results, "evaluate-*.json"));
        WriteAdversary(page, All<EvaluationReport>(results, "evaluate-*.json"));
        WriteBatches(page, All<BatchRates>(results, "batch-*.json"));
        var shipped = All<EvaluationReport>(Path.Combine(results, "heads"), "*.json");
        WriteHeads(page, "The heads in the clone",
            "`docs/measure-heads.sh` makes these rows. Where no tree is named, `koala evaluate` chose the draft length for the machine.",
            shipped, byCategory: true);
        var xeon = All<EvaluationReport>(Path.Combine(results, "xeon"), "*.json");
        WriteHeads(page, "The heads in the clone, on a CPU with AVX-512",
            """
            Two threads of a machine with 16 cores and nothing else to do, or one, with Koala's own kernels. A step of so small a
            target costs more for two tokens than for one, and a draft of an EAGLE head is not free, so little is left of what
            heads save.
            """,
            xeon, byCategory: false);
        var large = All<EvaluationReport>(Path.Combine(results, "smollm2"), "*.json");
        WriteHeads(page, "SmolLM2-135M-Instruct's heads",
            """
            Koala's own kernels over the quantized file. The heads are those of the H200 section below with a draft vocabulary of 8,192
            tokens, and too large for the clone, so no script makes these rows.
            """,
            large, byCategory: false);
        WriteRates(page, steps, [.. shipped, .. xeon, .. large]);
        WriteGpu(page, Path.Combine(results, "h100"));
        WriteNewerGpu(page, Path.Combine(results, "h200"));
        AtomicFile.WriteText(file, page.ToString());
    }

    private static void WriteGpu(StringBuilder page, string results)
    {
        page.AppendLine("# On an H100").AppendLine();
        Paragraph(page, $"""
            These figures were measured with the bundle (`koala bundle`) beside a PyTorch, by hand with the commands below, not by
            a script. The targets' own greedy answers are not in the repository; `koala regenerate` makes such files. Steps and
            rounds are CUDA graphs, also for the baseline, with one exception: *many answers at once* was measured before the
            steps of a single answer were captured. Its batch 1 is therefore slow and the factors over it are large; *one answer
            at a time* has the present baseline.
            """);
        WriteDoctor(page, Read<DoctorReport>(Path.Combine(results, "doctor-h100.json")));
        WriteBatches(page, All<BatchRates>(results, "batch-*.json"));
        WriteTraining(page, Read<TrainingTimes>(Path.Combine(results, "training.json")));
        WriteHeads(page, "One answer at a time",
            """
            What has not been measured with Koala's own kernels yet; the section on the H200 has the others. The EAGLE head and the
            Medusa heads are those of the table above; the Medusa head with K=2 was measured before a Medusa chain left out the
            heads beyond its length. `koala evaluate` chose the draft length.
            """,
            [.. All<EvaluationReport>(results, "mt-bench-*.json"), .. All<EvaluationReport>(results, "spec-bench-*.json")],
            byCategory: true);
        WriteHeads(page, "On held-out answers",
            """
            The target's own greedy answers of at most 320 tokens to prompts on whose answers no head was trained, in batches of
            50: 400 answers, or 100 with trees. This table is about τ and n-alpha, not about speed. A batch ends with its slowest
            answer, and rounds get new shapes as answers end, which the cost model does not know. For koala-mini, several
            processes also shared the GPU.
            """,
            All<EvaluationReport>(results, "held-out-*.json"), byCategory: false);
    }

    private static void WriteNewerGpu(StringBuilder page, string results) => WriteHeads(
        page, "On an H200, with Koala's own kernels",
        """
        Targets and EAGLE heads both run in Koala's own kernels. SmolLM2's heads learned from 2,000 steps of 8,192 tokens of its
        own greedy answers (52,000 chats) with the preset `koala` and one seed, those with a draft vocabulary of 8,192 from 2,400
        steps, which took five to seven minutes on a GPU that trained two or three heads at once: less than the heads of the H100
        section, so τ is lower here. They are too large for the clone; `docs/train-heads.sh` trains such heads. The shape of the
        dynamic trees was chosen among seven on 16 prompts of GSM8K. The program is that of the commit that added what was
        measured; reports name the one before it.
        """,
        All<EvaluationReport>(results, "*.json"), byCategory: false);

    private static void WriteDoctor(StringBuilder page, DoctorReport doctor)
    {
        page.AppendLine("## The machine, by `koala doctor`").AppendLine();
        Verbatim(page, doctor.ToString());
    }

    private static void WriteSteps(StringBuilder page, IReadOnlyList<StepTimes> all)
    {
        page.AppendLine("## A step of the target without a drafter, beside llama.cpp").AppendLine();
        Paragraph(page, $"""
            Both programs ran in turns in one process with the same threads and {StepTimes.Prefix} tokens before the step. The times
            are medians in milliseconds of a step over so many tokens with all its logits; Koala's with the choice of the best tokens
            too. *once* is the time of reading the weights once at the bandwidth measured in the same run. *stored* is the type of
            the target's files. Koala's arithmetic is always fp32. llama.cpp is the one of LLamaSharp's package, which has
            no build for the bf16 and int8 (VNNI) instructions that some processors have; its q8_0 also rounds activations.
            """);
        foreach (var steps in all)
        {
            Paragraph(page, $"""
                **{steps.Target}**, {steps.Threads} threads: `{CommandLine("koala-benchmarks", steps.Command)}` on
                {Describe(steps.Machine)}, vectors of {steps.VectorBits} bits, {steps.Measured:yyyy-MM-dd}, commit {Commit(steps.Commit)}.
                Reading memory: {steps.ReadGigabytesPerSecond:F1} GB/s. Other work took {steps.Load.OtherCores:F2} cores.
                """);
            var counts = steps.Programs[0].Counts.Select(step => step.Tokens).ToArray();
            Heading(page, ["program", "weights", "MB", "once", .. counts.Select(count => $"{count}"), "8 / 1", "1 / once"]);
            foreach (var p in steps.Programs)
            {
                var (one, eight) = (p.Counts.Single(step => step.Tokens == 1).Ms, p.Counts.Single(step => step.Tokens == 8).Ms);
                Row(page, [$"{p.Program}", $"{p.Weights}", $"{p.WeightBytes / 1e6:F1}", $"{p.ReadOnceMs:F2}",
                    .. p.Counts.Select(step => (FormattableString)$"{step.Ms:F2}"), $"{eight / one:F2}", $"{one / p.ReadOnceMs:F2}"]);
            }
            foreach (var p in steps.Programs.Where(p => p.Program == StepProgram.Koala))
            {
                Row(page, [$"of it products", $"{p.Weights}", $"", $"",
                    .. p.Counts.Select(step => (FormattableString)$"{step.ProductsMs:F2}"), $"", $""]);
            }
            page.AppendLine();
        }
    }

    private static void WriteTraining(StringBuilder page, TrainingTimes training)
    {
        page.AppendLine("## Training").AppendLine();
        var circumstances = training.Runs.Select(r => $"On {Describe(r.Machine)}, commit {Commit(r.Commit)}.");
        foreach (var line in circumstances.Distinct()) page.AppendLine(line);
        Paragraph(page, $"Held-out accuracy is how often the head's best token at each depth is the target's own. All runs have one seed.");
        Heading(page, "run", "target", "K", "adversary", "steps", "seconds", "held-out accuracy by depth", "discriminator accuracy");
        foreach (var r in training.Runs)
        {
            var adversary = r.AdversaryWeight == 0 ? "none" : r.AdversaryWeight.ToString(CultureInfo.InvariantCulture);
            var discriminator = r.DiscriminatorAccuracy?.ToString("P0", CultureInfo.InvariantCulture);
            Row(page, $"{r.Name}", $"{r.Target}", $"{r.Layers}", $"{adversary}", $"{r.Steps}", $"{r.Seconds:F0}",
                $"{Numbers(r.ValidationAccuracy, "F3")}", $"{discriminator}");
        }
        WriteCommands(page, training.Runs.Select(r => CommandLine("koala", r.Command)));
    }

    private static void WriteBatches(StringBuilder page, IReadOnlyList<BatchRates> all)
    {
        page.AppendLine("## Many answers at once").AppendLine();
        Paragraph(page, $"""
            The figures are medians of tokens per second, prefill included. All sizes were measured alternately in one process.
            Batch 1 is the target without a drafter, in the decoder of `koala generate`.
            """);
        Heading(page, "target", "on", "dtype", "batch", "tokens/s", "times batch 1", "prefill / steps / host, s",
            "loading, s", "weights, MB", "peak memory of the process, MB", "GPU memory, MB");
        foreach (var r in all)
            foreach (var b in r.Batches)
            {
                var device = r.Device == "cuda" ? r.Machine.Gpu?.Name : $"{r.Threads} threads";
                var gpuMemory = (r.GpuMemoryBytes / 1e6)?.ToString("F0", CultureInfo.InvariantCulture);
                Row(page, $"{r.Target}", $"{device}", $"{r.Dtype}", $"{b.Batch}", $"{b.TokensPerSecond:F0}", $"{b.OfBatchOne:F1}",
                    $"{b.Seconds.Prefill:F1} / {b.Seconds.Steps:F1} / {b.Seconds.Host:F1}", $"{r.LoadSeconds:F1}",
                    $"{r.WeightBytes / 1e6:F0}", $"{r.PeakMemoryBytes / 1e6:F0}", $"{gpuMemory}");
            }
        WriteCommands(page, all.Select(r => CommandLine("koala-benchmarks", r.Command)));
        var circumstances = all.Select(r =>
            FormattableString.Invariant($"On {Describe(r.Machine)}, {r.Measured:yyyy-MM-dd}, commit {Commit(r.Commit)}."));
        foreach (var line in circumstances.Distinct()) page.AppendLine(line).AppendLine();
    }

    private static void WriteEvaluations(StringBuilder page, IReadOnlyList<EvaluationReport> all)
    {
        page.AppendLine("## Speculation").AppendLine();
        Paragraph(page, $"""
            τ is the acceptance length with its 95 % interval over prompts. The speedup is the median over prompts, with both sides
            measured alternately in one process. *=* counts the answers equal to the target's own; *~* counts the answers whose
            first difference is a near-tie.
            """);
        foreach (var circumstances in all.Select(Circumstances).Distinct()) page.AppendLine(circumstances).AppendLine();
        Paragraph(page, $"""
            Each row is a head that was trained with one seed. The intervals do not cover the variation between seeds, so they do
            not show which of two close heads is better.
            """);
        Heading(page, "head", "dtype", "prompts", "τ", "position acceptance", "baseline, tokens/s", "with head, tokens/s", "speedup",
            "distinguishable from 1 (95 % CI)", "lossless", "=", "~", "draft / verify / bookkeeping, ms");
        foreach (var r in all)
            Row(page, $"{r.Head}", $"{r.Dtype}", $"{r.Prompts}", $"{AcceptanceLength(r)}", $"{Numbers(r.PositionAcceptance)}",
                $"{Rate(r.Baseline)}", $"{Rate(r.Speculative)}", $"{Speedup(r)}",
                $"{IsClear(r)}", $"{YesOrNo(r.Lossless == true)}", $"{r.EqualAnswers}", $"{r.NearTies}",
                $"{Parts(r.Round)}");
        WriteCommands(page, all.Select(r => CommandLine("koala", r.Provenance?.Command ?? [])));
    }

    private static void WriteHeads(
        StringBuilder page, string title, string description, IReadOnlyList<EvaluationReport> all, bool byCategory)
    {
        Line(page, $"## {title}");
        page.AppendLine().AppendLine(description).AppendLine();
        Paragraph(page, $"""
            τ is the acceptance length, in tokens per round. *Predicted* is the speedup that the cost model predicts from measured
            rounds and τ. *Break-even* is the τ at which the speedup would be 1 here. *=* counts the answers equal to the target's
            own.
            """);
        var circumstances = all.Select(r => FormattableString.Invariant(
            $"{r.Target} on {Describe(r.Provenance?.Machine)}, {r.Device}, {r.Threads} threads, temperature {r.Temperature}."));
        foreach (var line in circumstances.Distinct()) page.AppendLine(line).AppendLine();
        Heading(page, "prompts", "drafter", "draft per round", "dtype", "τ", "n-alpha", "baseline, tokens/s",
            "with drafter, tokens/s", "speedup", "predicted", "measured / predicted", "break-even", "=",
            "draft / verify / bookkeeping, ms", "commit");
        foreach (var r in all)
            Row(page, $"{r.Prompts} of {r.Provenance?.Prompts}", $"{r.Head}", $"{Draft(r)}", $"{r.Dtype}",
                $"{AcceptanceLength(r)}", $"{Numbers(r.NAlpha)}", $"{Rate(r.Baseline)}",
                $"{Rate(r.Speculative)}", $"{Speedup(r)}", $"{Figure(r.Predicted, "F2")}",
                $"{Figure(r.Speedup.Median / r.Predicted, "P0")}", $"{Figure(r.BreakEven, "F2")}", $"{r.EqualAnswers}", $"{Parts(r.Round)}",
                $"{Commit(r.Provenance?.Commit)}");
        page.AppendLine();
        WriteTrees(page, [.. all.Where(r => r.PredictedAcceptanceLength is not null)]);
        if (byCategory)
            foreach (var r in BestOfEachTarget(all)) WriteCategories(page, r);
        WriteCommands(page, all.Select(r => CommandLine("koala", r.Provenance?.Command ?? [])), leadingLine: false);
    }

    // What the predictor for trees says of trees that were measured.
    private static void WriteTrees(StringBuilder page, IReadOnlyList<EvaluationReport> all)
    {
        if (all.Count == 0) return;
        Paragraph(page, $"""
            Trees, as the predictor sees them: τ predicted from the acceptance by depth and child rank alone, and the speedup that
            follows from it and the break-even.
            """);
        Heading(page, "prompts", "drafter", "draft per round", "τ", "predicted τ", "predicted τ / τ", "speedup",
            "predicted speedup", "predicted speedup / speedup");
        foreach (var r in all)
        {
            var (length, speedup) = (r.PredictedAcceptanceLength!.Value, r.PredictedAcceptanceLength.Value / r.BreakEven);
            Row(page, $"{r.Prompts} of {r.Provenance?.Prompts}", $"{r.Head}", $"{Draft(r)}", $"{r.AcceptanceLength.Mean:F2}",
                $"{length:F2}", $"{length / r.AcceptanceLength.Mean:P0}", $"{Figure(r.Speedup.Median, "F2")}", $"{Figure(speedup, "F2")}",
                $"{Figure(speedup / r.Speedup.Median, "P0")}");
        }
        page.AppendLine();
    }

    // For each target and file of prompts, the report with the longest acceptance.
    private static IEnumerable<EvaluationReport> BestOfEachTarget(IReadOnlyList<EvaluationReport> all)
    {
        var groups = all.Where(r => r.ByCategory.Count > 1).GroupBy(r => (r.Target, r.Provenance?.Prompts));
        return groups.Select(group => group.MaxBy(r => r.AcceptanceLength.Mean)!);
    }

    private static void WriteCategories(StringBuilder page, EvaluationReport r)
    {
        Line(page, $"{r.Head}, a draft of {Draft(r)}, by category of {r.Provenance?.Prompts}:");
        page.AppendLine();
        Heading(page, "category", "prompts", "τ", "n-alpha", "speedup");
        foreach (var c in r.ByCategory)
            Row(page, $"{c.Category}", $"{c.Prompts}", $"{c.AcceptanceLength.Mean:F2} {IntervalText.Render(c.AcceptanceLength, r.Batch)}",
                $"{Numbers(c.NAlpha)}", $"{Speedup(r, c.Speedup)}");
        page.AppendLine();
    }

    // Shows what a user of llama.cpp would gain.
    private static void WriteRates(StringBuilder page, IReadOnlyList<StepTimes> all, IReadOnlyList<EvaluationReport> reports)
    {
        page.AppendLine("## Compared with llama.cpp").AppendLine();
        Paragraph(page, $"""
            Tokens per second of one answer: llama.cpp's from its fastest step of one token with weights of 16 bits or more in the
            tables of steps, Koala's from the evaluations in the tables above that ran on the same machine with as many threads, of
            which the one with the most tokens per second is shown.
            """);
        Heading(page, "target", "threads", "llama.cpp", "Koala without a drafter", "Koala with a drafter", "with a drafter / llama.cpp");
        foreach (var steps in all)
        {
            EvaluationReport[] same = [.. reports.Where(r => r.Target == steps.Target && r.Threads == steps.Threads && r.Disturbed != true
                && r.Provenance?.Machine.Cpu == steps.Machine.Cpu && r.Provenance.Machine.Cores == steps.Machine.Cores)];
            if (same.MaxBy(r => r.Speculative.TokensPerSecond) is not { } best) continue;
            var peer = steps.Programs.Where(p => p.Program == Benchmarks.LlamaCpp.Program && p.Weights is "bf16" or "fp32")
                .Max(p => 1000 / p.Counts[0].Ms);
            Row(page, $"{steps.Target}", $"{steps.Threads}", $"{peer:F0}", $"{best.Baseline.TokensPerSecond:F0}",
                $"{best.Speculative.TokensPerSecond:F0} ({best.Head}, {Draft(best)})", $"{best.Speculative.TokensPerSecond / peer:F2}");
        }
        page.AppendLine();
    }

    private static string Draft(EvaluationReport r) => r.Tree is { Name: not "chain" } tree
        ? $"{tree.Name}, {tree.Nodes} nodes{(r.DraftLengthChosen ? " (chosen)" : "")}"
        : $"{r.DraftLength}{(r.DraftLengthChosen ? " (chosen)" : "")}";

    private static string AcceptanceLength(EvaluationReport r) =>
        FormattableString.Invariant($"{r.AcceptanceLength.Mean:F2} {IntervalText.Render(r.AcceptanceLength, r.Batch)}");

    private static string Speedup(EvaluationReport r) => Speedup(r, r.Speedup);

    // A figure that was not measured is a dash, and the speedup says why.
    private static string Speedup(EvaluationReport r, MedianInterval speedup)
    {
        if (double.IsFinite(speedup.Median))
            return FormattableString.Invariant($"{speedup.Median:F2} {IntervalText.Render(speedup, r.Batch)}");
        return r.Disturbed == true ? "not measured: the machine was busy" : "not measured: answers too short";
    }

    private static string IsClear(EvaluationReport r) =>
        IntervalText.Missing(r.Speedup, r.Batch) is null ? YesOrNo(r.SpeedupIsClear) : "unknown";

    private static string Rate(Throughput side) => Figure(side.TokensPerSecond, "F0");

    private static string Figure(double value, string format) =>
        double.IsFinite(value) ? value.ToString(format, CultureInfo.InvariantCulture) : "-";

    private static string Parts(RoundTimes x) => double.IsFinite(x.VerifyMs)
        ? FormattableString.Invariant($"{x.DraftMs:F2} / {x.VerifyMs:F2} / {x.BookkeepingMs:F2}")
        : "-";

    private static string Numbers(IReadOnlyList<double> all, string format = "F2") =>
        string.Join(" ", all.Select(a => a.ToString(format, CultureInfo.InvariantCulture)));

    private static string YesOrNo(bool value) => value ? "yes" : "no";

    private static void WriteAdversary(StringBuilder page, IReadOnlyList<EvaluationReport> all)
    {
        page.AppendLine("The effect of the adversary, as far as twenty prompts and one seed show it:").AppendLine();
        foreach (var adversarial in all.Where(x => x.Head.EndsWith(Adversary, StringComparison.Ordinal)))
        {
            var name = adversarial.Head[..^Adversary.Length];
            var control = all.SingleOrDefault(r => r.Head == name + Plain && r.Dtype == adversarial.Dtype);
            if (control is null) continue;
            var (a, b) = (adversarial.AcceptanceLength, control.AcceptanceLength);
            var effect = !double.IsFinite(a.Low + b.Low) ? "unknown (too few prompts for intervals)"
                : a.Low > b.High ? "it helps"
                : a.High < b.Low ? "it harms"
                : "not distinguishable (the 95 % CIs overlap)";
            Line(page, $"- {name}, {adversarial.Dtype}: τ {a.Mean:F3} with it, {b.Mean:F3} without: {effect}.");
        }
        page.AppendLine();
    }

    private static string Circumstances(EvaluationReport r)
    {
        var setup = FormattableString.Invariant(
            $"{r.Device}, {r.Threads} threads, temperature {r.Temperature}, draft length {r.DraftLength}");
        var prompts = $"{r.Repeats} repeats, {r.Provenance?.Prompts} ({r.Provenance?.PromptsHash})";
        return $"{r.Target} on {Describe(r.Provenance?.Machine)}, {setup}, {prompts}, libtorch {r.Provenance?.LibTorch}, "
            + $"commit {Commit(r.Provenance?.Commit)}.";
    }

    private static string Describe(MachineInfo? machine)
    {
        if (machine is null) return "";
        return $"{(machine.Gpu is { } gpu ? $"{gpu.Name}, " : "")}{machine.Cpu}, {machine.Cores} cores";
    }

    private static IReadOnlyList<T> All<T>(string folder, string files) =>
        [.. Directory.GetFiles(folder, files).Order(StringComparer.Ordinal).Select(Read<T>)];

    private static T Read<T>(string path) => JsonSerializer.Deserialize<T>(File.ReadAllText(path), JsonFormat.Document)
        ?? throw new Koala.Lab.KoalaException(path, "is null", "repeat the measurements with docs/measure.sh");

    private static string Commit(Koala.Lab.Runs.GitCommit? commit) =>
        commit is null ? "unknown" : commit.Hash[..12] + (commit.Clean ? "" : " with changes");

    private static string CommandLine(string name, IReadOnlyList<string> words) => $"{name} {string.Join(' ', words)}";

    private static void WriteCommands(StringBuilder page, IEnumerable<string> commands, bool leadingLine = true)
    {
        if (leadingLine) page.AppendLine();
        page.AppendLine("Commands:").AppendLine();
        Verbatim(page, string.Join(Environment.NewLine, commands));
    }

    private static void Verbatim(StringBuilder page, string text) =>
        page.AppendLine("```").AppendLine(text).AppendLine("```").AppendLine();

    private static void Heading(StringBuilder page, params string[] columns)
    {
        page.AppendLine($"| {string.Join(" | ", columns)} |");
        page.AppendLine($"| {string.Join(" | ", columns.Select(_ => "---"))} |");
    }

    private static void Row(StringBuilder page, params FormattableString[] cells) =>
        page.AppendLine($"| {string.Join(" | ", cells.Select(FormattableString.Invariant))} |");

    private static void Paragraph(StringBuilder page, FormattableString text) =>
        page.AppendLine(FormattableString.Invariant(text).ReplaceLineEndings()).AppendLine();

    private static void Line(StringBuilder page, FormattableString text) => page.AppendLine(text.ToString(CultureInfo.InvariantCulture));
}
