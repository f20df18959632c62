using System.Globalization;
using System.Text;
using Koala.Lab.Checkpoints;
using Koala.Lab.Data;
using Koala.Lab.Decoding;
using Koala.Lab.Evaluation.Acceptance;
using Koala.Lab.Heads;
using Koala.Lab.Runtime;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Evaluation.Diagnosis;

/// <summary>
/// What people ask when a head disappoints: whether it predicts the right token, from the right features, over the right vocabulary, after
/// the right template; how acceptance falls with the depth; and whether acceptance or time holds the speedup back.
/// </summary>
[TypeFormatterSource]
public sealed record HeadDiagnosis
{
    private const int Depths = 4;
    private const int Widest = 50;   // of a name in the text
    private const int DraftLength = 4;
    private const int MaxTokens = 32;

    // What another reading has to gain, as a share of all positions, before it is worth mentioning.
    private const double Clear = 0.05;

    /// <summary>The kind and sizes of the head.</summary>
    public required HeadOptions Head { get; init; }

    /// <summary>The format of a head of another project, and what was noticed in it; null for one of Koala's own.</summary>
    public string? Origin { get; init; }

    /// <summary>
    /// The layers of the target whose outputs are the features, counted from 0; none means the states after the final norm.
    /// </summary>
    public required IReadOnlyList<int> FeatureLayers { get; init; }

    /// <summary>The number of prompts that were answered.</summary>
    public required int Prompts { get; init; }

    /// <summary>
    /// Teacher-forced acceptance by depth (n-alpha), and with the predicted token moved by one each way.
    /// </summary>
    public required ShiftedAcceptance TeacherForced { get; init; }

    /// <summary>
    /// Free-running acceptance by depth (position acceptance): the head continues from the tokens that it drafted, where all before were
    /// accepted.
    /// </summary>
    public required IReadOnlyList<double> FreeRunning { get; init; }

    /// <summary>What other heads of its kind reach, teacher-forced.</summary>
    public required IReadOnlyList<ReferenceCurve> References { get; init; }

    /// <summary>Teacher-forced acceptance of the first token if the head gets other features, by what they are.</summary>
    public required IReadOnlyDictionary<string, double> OtherFeatures { get; init; }

    /// <summary>
    /// Teacher-forced acceptance of the first token on prompts without the chat template; NaN if there was none to compare.
    /// </summary>
    public required double WithoutTemplate { get; init; }

    /// <summary>The share of the answers' tokens that lie in the draft vocabulary; 1 if there is none.</summary>
    public required double VocabularyCoverage { get; init; }

    /// <summary>What holds the speedup back.</summary>
    public required HeadTimes Times { get; init; }

    /// <summary>What was found, in sentences.</summary>
    public required IReadOnlyList<string> Findings { get; init; }

    /// <summary>Measures a head on some prompts, greedily and with chains.</summary>
    /// <param name="target">The target.</param>
    /// <param name="head">The head.</param>
    /// <param name="prompts">The prompts; about twenty are enough.</param>
    /// <param name="cancel">Checked between rounds.</param>
    /// <exception cref="KoalaException">No prompt fits the target's context.</exception>
    public static HeadDiagnosis Measure(
        Target target, DraftHead head, IReadOnlyList<Prompt> prompts, CancellationToken cancel = default)
    {
        KoalaException.ThrowIfNull(target);
        KoalaException.ThrowIfNull(head);
        KoalaException.ThrowIfNull(prompts);
        // The first answers also pay for what is made once.
        PositionCounts.Measure(target, head, [.. prompts.Take(1)], DraftLength, MaxTokens, cancel);
        var (positions, answers) = PositionCounts.Measure(target, head, prompts, DraftLength, MaxTokens, cancel);
        if (answers.Count == 0)
            throw KoalaException.ForOption(nameof(prompts), "leaves no prompt that fits the target's context", "give shorter prompts");
        ShiftedAcceptance Acceptance(Drafting.IDraftSource source, IReadOnlyList<Generation> of, int depths) =>
            ShiftedAcceptance.Measure(target, source, of, depths, cancel);
        Prompt[] untemplated = [.. prompts.Select(prompt => prompt with { Raw = true })];
        var (_, raw) = PositionCounts.Measure(target, head, untemplated, DraftLength, MaxTokens, cancel);
        var diagnosis = new HeadDiagnosis
        {
            Head = head.Options,
            Origin = head.Origin?.ToString(),
            FeatureLayers = head.FeatureLayers,
            Prompts = answers.Count,
            TeacherForced = Acceptance(head, answers, Depths),
            FreeRunning = [.. positions.Where(p => p.Reached > 0).Select(p => p.Rate)],
            References = ReferenceCurve.For(head.Options),
            OtherFeatures = Readings(target, head)
                .ToDictionary(x => x.Name, x => Acceptance(x.Source, answers, 1).Right is [var first] ? first : double.NaN),
            WithoutTemplate = Acceptance(head, raw, 1).Right is [var rate] ? rate : double.NaN,
            VocabularyCoverage = Coverage(head, answers),
            Times = HeadTimes.Of(answers, Plain(target, prompts, cancel), Math.Min(DraftLength, head.MaxDraftLength)),
            Findings = [],
        };
        return diagnosis with { Findings = [.. diagnosis.Find()] };
    }

    /// <summary>The diagnosis as text.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        void Line(string name, string value) => text.AppendLine($"{name,-Widest}{value}");
        Line("head", Origin ?? $"{Head.Kind}, K = {Head.Layers}");
        Line("features", FeatureLayers.Count == 0
            ? "states after the final norm"
            : $"outputs of layers {string.Join(", ", FeatureLayers)}");
        Line("teacher-forced, by depth", Shares(TeacherForced.Right));
        Line("  if it meant the token before", Shares(TeacherForced.Before));
        Line("  if it meant the token after", Shares(TeacherForced.After));
        foreach (var reference in References) Line($"  {reference}", Shares(reference.NAlpha.Take(Depths)));
        Line("free-running, by depth", Shares(FreeRunning));
        foreach (var (name, share) in OtherFeatures) Line($"  {name}", Shares([share]));
        Line("without the chat template", Shares([WithoutTemplate]));
        Line("tokens in the draft vocabulary", Shares([VocabularyCoverage]));
        Line("acceptance length", Number(Times.AcceptanceLength));
        Line("step, draft, rest of a round (ms)", $"{Number(Times.StepMs)}, {Number(Times.DraftMs)}, {Number(Times.VerifyMs)}");
        Line("speedup", $"{Number(Times.Speedup)}; {Number(Times.SpeedupIfDraftingWereFree)} if drafting were free, "
            + $"{Number(Times.SpeedupIfAllWereAccepted)} if all {Times.DraftLength} tokens were accepted");
        foreach (var finding in Findings) text.AppendLine($"- {finding}");
        return text.ToString();
    }

    private static string Number(double value) => value.ToString("0.00", CultureInfo.InvariantCulture);

    private static string Shares(IEnumerable<double> shares) => Shares(shares.Select(share => (double?)share));

    private static string Shares(IEnumerable<double?> shares) =>
        string.Join("  ", shares.Select(share => share is { } known ? known.ToString("0.000", CultureInfo.InvariantCulture) : "  -  "));

    // The same head with the features that it may have been trained with by mistake.
    private static IEnumerable<(string Name, OtherFeatures Source)> Readings(Target target, DraftHead head)
    {
        var (layers, count) = (head.FeatureLayers, target.Config.Layers);
        if (layers.Count == 0)
        {
            if (count > 1) yield return ("features one layer earlier", new OtherFeatures(head, [count - 2]));
            var weights = target.Model.FinalNorm;
            yield return ("features without norm weights", new OtherFeatures(head, [], x => x / weights));
            yield break;
        }
        if (layers.Min() > 0) yield return ("features one layer earlier", new OtherFeatures(head, [.. layers.Select(layer => layer - 1)]));
        if (layers.Max() < count - 1)
            yield return ("features one layer later", new OtherFeatures(head, [.. layers.Select(layer => layer + 1)]));
        yield return ("each feature normed", new OtherFeatures(head, layers, x => Normed(x, target.Config)));
    }

    // Each state of D numbers with a root mean square of 1, [B,N,n·D].
    private static Tensor Normed(Tensor x, ModelConfig config)
    {
        var states = x.view(x.shape[0], x.shape[1], -1, config.HiddenSize);
        return (states * (states.square().mean([-1], keepdim: true) + config.RmsNormEps).rsqrt()).view(x.shape);
    }

    private static double Coverage(DraftHead head, IReadOnlyList<Generation> answers)
    {
        if (head.Vocabulary is not { } vocabulary) return 1;
        var known = vocabulary.Tokens.ToHashSet();
        return answers.SelectMany(answer => answer.Tokens).Average(token => known.Contains(token) ? 1.0 : 0);
    }

    private static IReadOnlyList<Generation> Plain(Target target, IReadOnlyList<Prompt> prompts, CancellationToken cancel)
    {
        using var decoder = new SpeculativeDecoder(target, null);
        var fitting = prompts.Select(prompt => new Dialogue(target, prompt, allTurns: false).Next()!)
            .Where(tokens => tokens.Count > 0 && tokens.Count < target.Config.ContextLength);
        return [.. fitting.Select(tokens => decoder.Generate(tokens, new GenerationOptions { MaxTokens = MaxTokens }, null, cancel))];
    }

    private IEnumerable<string> Find()
    {
        if (TeacherForced.Right.Count == 0) yield break;
        var first = TeacherForced.Right[0];
        if (Head is Heads.Medusa.MedusaOptions { Tied: true, Layers: > 1 })
            yield return "The blocks of each head are one block: code built on Medusa's repository repeats a block where it should make K.";
        foreach (var (name, shares) in new[] { ("before", TeacherForced.Before), ("after", TeacherForced.After) })
            if (shares.Count > 0 && shares[0] > first + Clear)
                yield return $"It predicts the token {name} the right one more often ({Shares([shares[0]])} against {Shares([first])}): "
                    + "its training was shifted by one.";
        foreach (var (name, share) in OtherFeatures)
            if (share > first + Clear)
                yield return $"It accepts more with other features ({name}: {Shares([share])} against {Shares([first])}): "
                    + "it was trained with those.";
        if (WithoutTemplate > first + Clear)
            yield return $"It accepts more without the chat template ({Shares([WithoutTemplate])} against {Shares([first])}): "
                + "it was trained on other text than it drafts.";
        if (VocabularyCoverage < 1 - 2 * Clear)
            yield return $"Only {Shares([VocabularyCoverage])} of the answers' tokens lie in the draft vocabulary, and no other can be "
                + "accepted: it is too small, or it maps to the wrong tokens.";
        if (first < Clear)
            yield return "It predicts almost nothing: the head is untrained, damaged, or made for another target.";
        if (Head.PredictsFeatures && TeacherForced.Right.Count > 1 && TeacherForced.Right[1] < 0.6 * first)
            yield return "Acceptance falls steeply with the depth: it was trained on few steps of its own output (training-time test).";
        var (free, all) = (Times.SpeedupIfDraftingWereFree - Times.Speedup, Times.SpeedupIfAllWereAccepted - Times.Speedup);
        yield return all > free
            ? "Acceptance holds the speedup back more than the time of drafting."
            : "The time of drafting holds the speedup back more than acceptance.";
    }
}
