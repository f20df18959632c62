using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Decoding;

/// <summary>A draft source without weights: it proposes what a script says, and remembers what it was told.</summary>
/// <param name="prompt">Length of the prompt.</param>
/// <param name="maxDraftLength">The most it drafts.</param>
/// <param name="script">From the number of answer tokens so far and the length asked for to the tokens proposed.</param>
internal sealed class ScriptedHead(int prompt, int maxDraftLength, Func<int, int, IEnumerable<int>> script) : IDraftSource
{
    public int MaxDraftLength => maxDraftLength;

    public IReadOnlyList<int> FeatureLayers => [];

    /// <summary>All tokens that CatchUp was told, in order.</summary>
    public List<int> Next { get; } = [];

    /// <summary>Tokens of each call of CatchUp.</summary>
    public List<int> Calls { get; } = [];

    /// <summary>All features that CatchUp was told, row by row.</summary>
    public List<float> Features { get; } = [];

    /// <summary>In place of the script: logits by depth, [maxDraftLength, vocabulary], for the decoder's chooser.</summary>
    public Tensor? Logits { get; init; }

    /// <summary>Lengths that were asked for.</summary>
    public List<int> Asked { get; } = [];

    /// <summary>
    /// Right for the given number of candidates of each round (by round's place in the answer), wrong after them. On
    /// another text, where costs are measured, it proposes anything.
    /// </summary>
    public static ScriptedHead Right(Target target, int prompt, int maxDraftLength, IReadOnlyList<int> truth, Func<int, int> right) =>
        new(prompt, maxDraftLength, (done, length) => Enumerable.Range(0, length).Select(i =>
            done < 0 || done + i >= truth.Count
                ? 0
                : i < right(done)
                ? truth[done + i]
                : (truth[done + i] + 1) % target.Config.VocabularySize));

    public Drafter NewDrafter(Target target, int batch, int capacity) => new Scripted(this);

    private sealed class Scripted(ScriptedHead head) : Drafter
    {
        private int _told;

        public override int MaxDraftLength => head.MaxDraftLength;

        public override void Extend(Tensor features, IReadOnlyList<int[]> tokens)
        {
            using var scope = NewDisposeScope();
            var next = tokens[0][1..];
            Assert.Equal(next.Length, features.shape[1]);
            if (_told > 0) Assert.Equal(head.Next[^1], tokens[0][0]);
            head.Features.AddRange(features.to(ScalarType.Float32).contiguous().data<float>().ToArray());
            head.Next.AddRange(next);
            head.Calls.Add(next.Length);
            _told += next.Length;
        }

        public override IReadOnlyList<Draft> Propose(DraftTree tree, ITokenSampler sampler)
        {
            var length = tree.Depth;
            head.Asked.Add(length);
            if (head.Logits is { } logits) return [Draft.Chain(sampler.Sample(logits.narrow(0, 0, length), 1).Select(row => row[0]))];
            return [Draft.Chain(head.Script(_told + 1 - head.Prompt, length).Select(token => new SampledToken(token, 1, null)))];
        }
    }

    private Func<int, int, IEnumerable<int>> Script => script;

    private int Prompt => prompt;
}
