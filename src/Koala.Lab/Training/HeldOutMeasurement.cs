using Koala.Lab.Data;
using Koala.Lab.Decoding;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Learning;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Training;

/// <summary>Measures a head on held-out rows: teacher-forced, and running free.</summary>
/// <remarks>
/// Teacher-forced, the head is given the tokens of the text at every position, so all positions count alike. Running free,
/// it drafts behind its own accepted tokens, as in real decoding: positions after a rejected token are where rounds
/// begin. The two differ if the text is not the target's own answer, or if the head is better at some places than at
/// those where rounds begin.
/// </remarks>
internal sealed class HeldOutMeasurement
{
    // EAGLE's n-alpha goes as far as this: up to the token that is drafted after four drafted tokens.
    private const int Steps = 5;

    // So many tokens of an answer show the acceptance; a validation takes a few seconds.
    private const int MaxTokens = 64;

    private readonly Target _target;
    private readonly TrainingData _data;
    private readonly TrainingOptions _options;
    private readonly int[][] _prompts;

    public HeldOutMeasurement(Target target, TrainingData data, TrainingOptions options)
    {
        (_target, _data, _options) = (target, data, options);
        _prompts = [.. data.Validation.SelectMany(Prompts).Where(prompt => prompt.Length < target.Config.ContextLength)
            .Take(options.ValidationAnswers)];
    }

    /// <summary>Measures a head.</summary>
    /// <param name="head">The head.</param>
    /// <param name="fullBatch">A cache for as many rows as a training step has.</param>
    /// <returns>
    /// The accuracy of each depth, NaN where no answer is long enough; the acceptance lengths, NaN where there is nothing
    /// to measure, and null for a measurement that is left out.
    /// </returns>
    public (IReadOnlyList<double> Accuracy, double TauTeacherForced, double? TauFreeRunning) Measure(
        DraftHead head, KeyValueCache fullBatch)
    {
        var (accuracy, chains) = TeacherForced(head, fullBatch);
        var reached = chains.TakeWhile(double.IsFinite).ToArray();
        return (accuracy, reached.Length == 0 ? double.NaN : 1 + reached.Sum(),
            _options.ValidationAnswers == 0 ? null : FreeRunning(head, reached.Length));
    }

    // How often the head's best token is the target's best token, which is the label of greedy decoding, and how often all
    // tokens of the chain up to this depth are.
    private (double[] Accuracy, double[] Chains) TeacherForced(DraftHead head, KeyValueCache fullBatch)
    {
        using var _ = no_grad();
        var counts = new List<(double Correct, double Chains, double Positions)>();   // by depth
        foreach (var rows in _data.Validation.Chunk(_options.Batch))
        {
            using var scope = NewDisposeScope();
            // The last chunk may have fewer rows than the cache has sequences.
            using var cache = rows.Length < _options.Batch ? _target.NewCache(rows.Length, _data.RowLength) : null;
            using var batch = new TrainingBatch(_target, cache ?? fullBatch, rows, head.FeatureLayers)
            {
                TrainingTimeTestSteps = Math.Max(Steps, _options.TrainingTimeTest),
            };
            var termsByDepth = DistillationTerms.OfAllDepths(head.Predict(batch, _target), batch);
            foreach (var (depth, terms) in termsByDepth.Index())
            {
                if (counts.Count <= depth) counts.Add((0, 0, 0));
                var (correct, chains, positions) = counts[depth];
                var unbroken = terms.Correct.logical_and(terms.CorrectBefore);
                counts[depth] = (correct + terms.Correct.sum().item<long>(), chains + unbroken.sum().item<long>(),
                    positions + terms.Correct.shape[0]);
            }
            foreach (var terms in termsByDepth) terms.Dispose();
        }
        return ([.. counts.Select(c => c.Correct / c.Positions)], [.. counts.Select(c => c.Chains / c.Positions)]);
    }

    private double FreeRunning(DraftHead head, int depths)
    {
        var length = Math.Min(depths, head.MaxDraftLength);
        if (_prompts.Length == 0 || length == 0) return double.NaN;
        using var copy = head.CopyForDrafting(_target);
        using var decoder = new SpeculativeDecoder(_target, copy) { ChooseDraftLength = false };
        var answers = decoder.GenerateAll(_prompts, new GenerationOptions { MaxTokens = MaxTokens, DraftLength = length });
        return answers.SelectMany(answer => answer.Rounds).Select(round => (double)round.Committed).DefaultIfEmpty(double.NaN).Average();
    }

    // What stands before the first answer of each conversation of a row.
    private static IEnumerable<int[]> Prompts(PackedRow row)
    {
        var answers = Enumerable.Range(0, row.Tokens.Length).Where(t => row.LossMask[t] && row.Positions[t] > 0);
        return answers.DistinctBy(t => row.Segments[t]).Select(t => row.Tokens[(t - row.Positions[t])..t]);
    }
}
