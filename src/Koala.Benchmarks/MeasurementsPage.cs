using System.Globalization;
using System.Text;
using System.Text.Json;
using Koala.Lab.Evaluation;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Runtime.Machine;

namespace Koala.Benchmarks;

/// <summary>docs/measurements.md, written from the result files beside it: no figure in it is typed by hand.</summary>
internal static class MeasurementsPage
{
    // As docs/measure.sh names the heads.
    private const string Adversary = "-adversary";
    private const string Plain = "-plain";

    private sealed record PeerStep(int Tokens, double Bf16Ms, double? Fp32Ms);

    private sealed record PeerTarget(string Target, IReadOnlyList<PeerStep> Steps);

    private sealed record Peer(string Name, int Threads, string Machine, string Source, IReadOnlyList<PeerTarget> Targets);

    public static void Write(string results, string file)
    {
        var page = new StringBuilder();
        page.AppendLine("# Measurements").AppendLine();
        page.AppendLine("Written from the files in `results/` by `dotnet run -c Release --project src/Koala.Benchmarks -- report docs/results docs/measurements.md`;");
        page.AppendLine("`docs/measure.sh` makes those files again. Machines that run such tests are shared: keep the ratios, not the bare times.").AppendLine();
        WriteDoctor(page, Read<DoctorReport>(Path.Combine(results, "doctor.json")));
        var steps = Read<StepTimes>(Path.Combine(results, "steps-koala-mini.json"));
        var peer = Read<Peer>(Path.Combine(results, "peer-llama.cpp.json"));
        WriteSteps(page, steps, peer);
        WriteTraining(page, Read<TrainingTimes>(Path.Combine(results, "training.json")));
        WriteEvaluations(page, All<EvaluationReport>(results, "evaluate-*.json"));
        WriteAdversary(page, All<EvaluationReport>(results, "evaluate-*.json"));
        WriteBatches(page, All<BatchRates>(results, "batch-*.json"));
        var (shipped, large) = (All<EvaluationReport>(Path.Combine(results, "heads"), "*.json"), All<EvaluationReport>(Path.Combine(results, "smollm2"), "*.json"));
        WriteHeads(page, "The heads in the clone", "By `docs/measure-heads.sh`. The draft length is what evaluate chose for the machine, where no tree is named.", shipped, byCategory: true);
        WriteHeads(page, "SmolLM2-135M-Instruct's heads", "Five prompts of each category. The heads are those of the H100 below and too large for the clone, so no script makes these rows. The tree was fitted to other prompts than these, on this machine:", large, byCategory: false, File.ReadAllText(Path.Combine(results, "smollm2", "fit-tree.txt")));
        WriteRates(page, peer, [.. shipped, .. large]);
        WriteGpu(page, Path.Combine(results, "h100"));
        AtomicFile.WriteText(file, page.ToString());
    }

    private static void WriteGpu(StringBuilder page, string results)
    {
        page.AppendLine("# On an H100").AppendLine();
        page.AppendLine("Through the bundle (`koala bundle`), beside a PyTorch. Made by hand as the commands say, not by a script: the targets' own greedy answers are not in the repository,");
        page.AppendLine("`koala regenerate` makes such files. Steps and rounds are CUDA graphs, those of the target alone as well, but for one figure: *many answers at once* was measured before a single");
        page.AppendLine("answer's steps were, so that its batch 1 is slow and the factors over it are large; *one answer at a time* has today's.").AppendLine();
        WriteDoctor(page, Read<DoctorReport>(Path.Combine(results, "doctor-h100.json")));
        WriteBatches(page, All<BatchRates>(results, "batch-*.json"));
        WriteTraining(page, Read<TrainingTimes>(Path.Combine(results, "training.json")));
        WriteHeads(page, "One answer at a time", "SmolLM2's EAGLE heads trained alike, side by side: 3,000 steps of 8,192 tokens of its own greedy answers, one seed. The Medusa heads are those of the table above; the one of K=2 was measured before a Medusa chain left out the heads beyond its length. The draft length is what evaluate chose.",
            [.. All<EvaluationReport>(results, "mt-bench-*.json"), .. All<EvaluationReport>(results, "spec-bench-*.json")], byCategory: true);
        WriteHeads(page, "On answers held out", "The target's own greedy answers of at most 320 tokens to prompts whose answers no head was trained on, 50 side by side: 400 of them, with trees 100. It is τ and n-alpha that are wanted here, not the speeds: a group is done when its slowest answer is, and rounds get new shapes as answers end, of which the cost model knows nothing; for koala-mini several processes shared the GPU besides.",
            All<EvaluationReport>(results, "held-out-*.json"), byCategory: false);
    }

    private static void WriteDoctor(StringBuilder page, DoctorReport doctor) =>
        page.AppendLine("## The machine, by `koala doctor`").AppendLine().AppendLine("```").AppendLine(doctor.ToString()).AppendLine("```").AppendLine();

    private static void WriteSteps(StringBuilder page, StepTimes steps, Peer peer)
    {
        page.AppendLine("## A step of the target alone").AppendLine();
        Line(page, $"`{Command("koala-benchmarks", steps.Command)}` on {steps.Machine.Cpu}, {steps.Machine.Cores} cores, {steps.Threads} threads, {steps.Measured:yyyy-MM-dd}, commit {Commit(steps.Commit)}.");
        Line(page, $"Reading memory: {steps.ReadGigabytesPerSecond:F1} GB/s. Milliseconds, medians; *products* are the matrix products alone, *rest* is norms, rotations, cache, attention, activations and the calls themselves.");
        page.AppendLine();
        foreach (var d in steps.Dtypes)
        {
            var one = d.Counts[0];
            Line(page, $"**{steps.Target}, {d.Dtype}**: reading all weights ({d.WeightBytes / 1e6:F1} MB) once takes {d.ReadOnceMs:F2} ms; a step of one token takes {one.WholeMs / d.ReadOnceMs:F1} times that, {one.ProductsMs / one.WholeMs:P0} of it in products.");
            page.AppendLine().AppendLine("| tokens | step | of one token's | products | LM head and best token | rest |").AppendLine("| --- | --- | --- | --- | --- | --- |");
            foreach (var s in d.Counts)
                Line(page, $"| {s.Tokens} | {s.WholeMs:F2} | {s.WholeMs / one.WholeMs:F2} | {s.ProductsMs:F2} | {s.LmHeadMs:F2} | {s.RestMs:F2} |");
            page.AppendLine();
        }
        Line(page, $"What a user would run instead: {peer.Name}, {peer.Threads} threads, on {peer.Machine} ({peer.Source}). Another machine, so the factor is a hint only.");
        page.AppendLine().AppendLine("| tokens | bf16 | Koala's bf16 by it | fp32 | Koala's fp32 by it |").AppendLine("| --- | --- | --- | --- | --- |");
        foreach (var p in peer.Targets.Single(t => t.Target == steps.Target).Steps)
        {
            double Koala(string dtype) => steps.Dtypes.Single(d => d.Dtype == dtype).Counts.Single(s => s.Tokens == p.Tokens).WholeMs;
            Line(page, $"| {p.Tokens} | {p.Bf16Ms} | {Koala("bf16") / p.Bf16Ms:F1} | {p.Fp32Ms} | {Koala("fp32") / p.Fp32Ms:F1} |");
        }
        page.AppendLine().AppendLine("A speedup over a baseline that is this far from what the machine can do says what the head does, not what a user of a faster program would gain.").AppendLine();
    }

    private static void WriteTraining(StringBuilder page, TrainingTimes training)
    {
        page.AppendLine("## Training").AppendLine();
        foreach (var place in training.Runs.Select(r => FormattableString.Invariant($"On {Place(r.Machine)}, commit {Commit(r.Commit)}.")).Distinct()) page.AppendLine(place);
        page.AppendLine("Held-out accuracy: how often the head's best token at each depth is the target's own. One seed.").AppendLine();
        page.AppendLine("| run | target | K | adversary | steps | seconds | held-out accuracy by depth | discriminator right |").AppendLine("| --- | --- | --- | --- | --- | --- | --- | --- |");
        foreach (var r in training.Runs)
            Line(page, $"| {r.Name} | {r.Target} | {r.Layers} | {(r.AdversaryWeight == 0 ? "none" : r.AdversaryWeight.ToString(CultureInfo.InvariantCulture))} | {r.Steps} | {r.Seconds:F0} | {string.Join(" ", r.ValidationAccuracy.Select(a => a.ToString("F3", CultureInfo.InvariantCulture)))} | {(r.DiscriminatorAccuracy is { } right ? right.ToString("P0", CultureInfo.InvariantCulture) : "")} |");
        page.AppendLine().AppendLine("Commands:").AppendLine().AppendLine("```");
        foreach (var r in training.Runs) page.AppendLine(Command("koala", r.Command));
        page.AppendLine("```").AppendLine();
    }

    private static void WriteBatches(StringBuilder page, IReadOnlyList<BatchRates> all)
    {
        page.AppendLine("## Many answers at once").AppendLine();
        page.AppendLine("Tokens a second, prefill included, all sizes in turn in one process; medians. Batch 1 is the target alone through the decoder of `generate`.").AppendLine();
        page.AppendLine("| target | on | dtype | batch | tokens/s | times batch 1 | prefill / steps / host, s | loading, s | weights, MB | process's peak, MB | GPU memory, MB |").AppendLine("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
        foreach (var r in all)
            foreach (var b in r.Batches)
                Line(page, $"| {r.Target} | {(r.Device == "cuda" ? r.Machine.Gpu?.Name : $"{r.Threads} threads")} | {r.Dtype} | {b.Batch} | {b.TokensPerSecond:F0} | {b.OfBatchOne:F1} | {b.Seconds.Prefill:F1} / {b.Seconds.Steps:F1} / {b.Seconds.Host:F1} | {r.LoadSeconds:F1} | {r.WeightBytes / 1e6:F0} | {r.PeakMemoryBytes / 1e6:F0} | {(r.GpuMemoryBytes is { } taken ? (taken / 1e6).ToString("F0", CultureInfo.InvariantCulture) : "")} |");
        page.AppendLine().AppendLine("Commands:").AppendLine().AppendLine("```");
        foreach (var r in all) page.AppendLine(Command("koala-benchmarks", r.Command));
        page.AppendLine("```").AppendLine();
        foreach (var place in all.Select(r => FormattableString.Invariant($"On {Place(r.Machine)}, {r.Measured:yyyy-MM-dd}, commit {Commit(r.Commit)}.")).Distinct()) page.AppendLine(place).AppendLine();
    }

    private static void WriteEvaluations(StringBuilder page, IReadOnlyList<EvaluationReport> all)
    {
        page.AppendLine("## Speculation").AppendLine();
        page.AppendLine("τ: acceptance length, [95% interval over prompts]. Speedup: median over prompts, both sides in turn in one process. *=*: answers equal to the target's own, *~*: first difference a near-tie.").AppendLine();
        foreach (var circumstances in all.Select(Circumstances).Distinct()) page.AppendLine(circumstances).AppendLine();
        page.AppendLine("Rows differ in one seed of training each: their intervals do not tell heads apart that are close.").AppendLine();
        page.AppendLine("| head | dtype | prompts | τ | position acceptance | alone, tokens/s | with head | speedup | told apart from 1 | lossless | = | ~ | draft / verify / bookkeeping, ms |");
        page.AppendLine("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
        foreach (var r in all)
            Line(page, $"| {r.Head} | {r.Dtype} | {r.Prompts} | {r.AcceptanceLength.Mean:F2} [{r.AcceptanceLength.Low:F2}, {r.AcceptanceLength.High:F2}] | {string.Join(" ", r.PositionAcceptance.Select(a => a.ToString("F2", CultureInfo.InvariantCulture)))} | {r.Baseline.TokensPerSecond:F0} | {r.Speculative.TokensPerSecond:F0} | {r.Speedup.Median:F2} [{r.Speedup.Low:F2}, {r.Speedup.High:F2}] | {(r.SpeedupIsClear ? "yes" : "no")} | {(r.Lossless == true ? "yes" : "no")} | {r.EqualAnswers} | {r.NearTies} | {r.Round.DraftMs:F2} / {r.Round.VerifyMs:F2} / {r.Round.BookkeepingMs:F2} |");
        page.AppendLine().AppendLine("Commands:").AppendLine().AppendLine("```");
        foreach (var r in all) page.AppendLine(Command("koala", r.Provenance?.Command ?? []));
        page.AppendLine("```").AppendLine();
    }

    private static void WriteHeads(StringBuilder page, string title, string what, IReadOnlyList<EvaluationReport> all, bool byCategory, string? verbatim = null)
    {
        Line(page, $"## {title}");
        page.AppendLine().AppendLine(what).AppendLine();
        if (verbatim is not null) page.AppendLine("```").AppendLine(verbatim.TrimEnd()).AppendLine("```").AppendLine();
        page.AppendLine("τ: acceptance length, tokens a round. *Predicted*: the speedup by the cost model from measured rounds and τ. *Pays above*: the τ at which the speedup would be 1 here. *=*: answers equal to the target's own.").AppendLine();
        foreach (var place in all.Select(r => FormattableString.Invariant($"{r.Target} on {(r.Provenance is null ? "" : Place(r.Provenance.Machine))}, {r.Device}, {r.Threads} threads, temperature {r.Temperature}.")).Distinct()) page.AppendLine(place).AppendLine();
        page.AppendLine("| prompts | drafts | a round's draft | dtype | τ | n-alpha | alone, tokens/s | with it | speedup | predicted | measured / predicted | pays above | = | draft / verify / bookkeeping, ms | commit |");
        page.AppendLine("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
        foreach (var r in all)
            Line(page, $"| {r.Prompts} of {r.Provenance?.Prompts} | {r.Head} | {DraftOf(r)} | {r.Dtype} | {Interval(r.AcceptanceLength)} | {Numbers(r.NAlpha)} | {r.Baseline.TokensPerSecond:F0} | {r.Speculative.TokensPerSecond:F0} | {r.Speedup.Median:F2} [{r.Speedup.Low:F2}, {r.Speedup.High:F2}] | {r.Predicted:F2} | {r.Speedup.Median / r.Predicted:P0} | {r.BreakEven:F2} | {r.EqualAnswers} | {r.Round.DraftMs:F2} / {r.Round.VerifyMs:F2} / {r.Round.BookkeepingMs:F2} | {Commit(r.Provenance?.Commit)} |");
        page.AppendLine();
        foreach (var r in all.Where(r => byCategory && r.ByCategory.Count > 1).GroupBy(r => (r.Target, r.Provenance?.Prompts)).Select(group => group.MaxBy(r => r.AcceptanceLength.Mean)!))
        {
            Line(page, $"{r.Head}, a draft of {DraftOf(r)}, by category of {r.Provenance?.Prompts}:");
            page.AppendLine().AppendLine("| category | prompts | τ | n-alpha | speedup |").AppendLine("| --- | --- | --- | --- | --- |");
            foreach (var c in r.ByCategory)
                Line(page, $"| {c.Category} | {c.Prompts} | {Interval(c.AcceptanceLength)} | {Numbers(c.NAlpha)} | {c.Speedup.Median:F2} [{c.Speedup.Low:F2}, {c.Speedup.High:F2}] |");
            page.AppendLine();
        }
        page.AppendLine("Commands:").AppendLine().AppendLine("```");
        foreach (var r in all) page.AppendLine(Command("koala", r.Provenance?.Command ?? []));
        page.AppendLine("```").AppendLine();
    }

    // A speedup over a slow baseline is called that.
    private static void WriteRates(StringBuilder page, Peer peer, IReadOnlyList<EvaluationReport> all)
    {
        page.AppendLine("## Beside what a user would run instead").AppendLine();
        Line(page, $"{peer.Name}, bf16, {peer.Threads} threads, one token at a time, on {peer.Machine} ({peer.Source}): another machine, so the factor is a hint only. Of Koala's settings in the two tables above those with the most tokens a second.");
        page.AppendLine().AppendLine("| target | its tokens/s | Koala alone | Koala with a drafter | the faster by its |").AppendLine("| --- | --- | --- | --- | --- |");
        foreach (var p in peer.Targets)
        {
            EvaluationReport[] own = [.. all.Where(r => r.Target.StartsWith(p.Target, StringComparison.Ordinal))];
            var (baseline, with) = (own.MaxBy(r => r.Baseline.TokensPerSecond)!, own.MaxBy(r => r.Speculative.TokensPerSecond)!);
            var its = 1000 / p.Steps.Single(s => s.Tokens == 1).Bf16Ms;
            Line(page, $"| {p.Target} | {its:F0} | {baseline.Baseline.TokensPerSecond:F0} ({baseline.Dtype}) | {with.Speculative.TokensPerSecond:F0} ({with.Head}, {DraftOf(with)}, {with.Dtype}) | {Math.Max(baseline.Baseline.TokensPerSecond, with.Speculative.TokensPerSecond) / its:P0} |");
        }
        page.AppendLine().AppendLine("Speedups here are over a slow baseline. In bf16, which this CPU has no instructions for, a step of one token reads half as much, and a step of several computes for long: a").AppendLine("drafter that pays in fp32 does not there.").AppendLine();
    }

    private static string DraftOf(EvaluationReport r) => r.Tree is { Name: not "chain" } tree ? $"{tree.Name}, {tree.Nodes} nodes" : $"{r.DraftLength}{(r.DraftLengthChosen ? " (chosen)" : "")}";

    private static string Interval(MeanInterval x) => FormattableString.Invariant($"{x.Mean:F2} [{x.Low:F2}, {x.High:F2}]");

    private static string Numbers(IReadOnlyList<double> all) => string.Join(" ", all.Select(a => a.ToString("F2", CultureInfo.InvariantCulture)));

    private static void WriteAdversary(StringBuilder page, IReadOnlyList<EvaluationReport> all)
    {
        page.AppendLine("What the adversary changes, as far as twenty prompts and one seed tell:").AppendLine();
        foreach (var with in all.Where(x => x.Head.EndsWith(Adversary, StringComparison.Ordinal)))
        {
            var twin = all.SingleOrDefault(r => r.Head == with.Head.Replace(Adversary, Plain, StringComparison.Ordinal) && r.Dtype == with.Dtype);
            if (twin is null) continue;
            var (a, b) = (with.AcceptanceLength, twin.AcceptanceLength);
            var apart = a.Low > b.High || a.High < b.Low;
            Line(page, $"- {twin.Head.Replace(Plain, "", StringComparison.Ordinal)}, {with.Dtype}: τ {a.Mean:F3} with it, {b.Mean:F3} without: {(apart ? a.Mean > b.Mean ? "it helps" : "it harms" : "not told apart")}.");
        }
        page.AppendLine();
    }

    private static string Circumstances(EvaluationReport r) => FormattableString.Invariant(
        $"{r.Target} on {(r.Provenance is null ? "" : Place(r.Provenance.Machine))}, {r.Device}, {r.Threads} threads, temperature {r.Temperature}, draft length {r.DraftLength}, {r.Repeats} repeats, {r.Provenance?.Prompts} ({r.Provenance?.PromptsHash}), libtorch {r.Provenance?.LibTorch}, commit {Commit(r.Provenance?.Commit)}.");

    private static string Place(MachineInfo machine) => $"{(machine.Gpu is { } gpu ? $"{gpu.Name}, " : "")}{machine.Cpu}, {machine.Cores} cores";

    private static IReadOnlyList<T> All<T>(string folder, string files) => [.. Directory.GetFiles(folder, files).Order(StringComparer.Ordinal).Select(Read<T>)];

    private static T Read<T>(string path) => JsonSerializer.Deserialize<T>(File.ReadAllText(path), JsonFormat.Document)
        ?? throw new Koala.Lab.KoalaException(path, "is null", "measure again with docs/measure.sh");

    private static string Commit(Koala.Lab.Runs.GitCommit? commit) => commit is null ? "unknown" : commit.Hash[..12] + (commit.Clean ? "" : " with changes");

    private static string Command(string name, IReadOnlyList<string> words) => $"{name} {string.Join(' ', words)}";

    private static void Line(StringBuilder page, FormattableString text) => page.AppendLine(text.ToString(CultureInfo.InvariantCulture));
}
