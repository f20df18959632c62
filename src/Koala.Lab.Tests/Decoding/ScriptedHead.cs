using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Decoding;

/// <summary>A draft source without weights: it proposes what a script says, and keeps what it was extended with.</summary>
/// <param name="prompt">Length of the prompt.</param>
/// <param name="maxDraftLength">The largest draft length.</param>
/// <param name="script">
/// A function from the number of answer tokens so far and the draft length asked for to the tokens proposed.
/// </param>
internal sealed class ScriptedHead(int prompt, int maxDraftLength, Func<int, int, IEnumerable<int>> script) : IDraftSource
{
    public int MaxDraftLength => maxDraftLength;

    public IReadOnlyList<int> FeatureLayers => [];

    /// <summary>All tokens that Extend received, in order.</summary>
    public List<int> Next { get; } = [];

    /// <summary>The number of tokens of each call of Extend.</summary>
    public List<int> Calls { get; } = [];

    /// <summary>All features that Extend received, row by row.</summary>
    public List<float> Features { get; } = [];

    /// <summary>Logits by depth for the decoder's sampler, [maxDraftLength, vocabulary]; they replace the script.</summary>
    public Tensor? Logits { get; init; }

    /// <summary>The draft lengths that were asked for.</summary>
    public List<int> Asked { get; } = [];

    /// <summary>
    /// Creates a source that is correct for a given number of candidates of each round (by the round's position in the
    /// answer), and wrong after them. On another text, where costs are measured, it proposes arbitrary tokens.
    /// </summary>
    public static ScriptedHead CreateCorrect(Target target, int prompt, int maxDraftLength, IReadOnlyList<int> answer,
        Func<int, int> correct) =>
        new(prompt, maxDraftLength, (done, length) => Enumerable.Range(0, length).Select(i =>
        {
            if (done < 0 || done + i >= answer.Count) return 0;
            var token = answer[done + i];
            return i < correct(done) ? token : (token + 1) % target.Config.VocabularySize;
        }));

    public Drafter NewDrafter(Target target, int batch, int capacity) => new Scripted(this);

    private sealed class Scripted(ScriptedHead head) : Drafter
    {
        private int _extended;

        public override int MaxDraftLength => head.MaxDraftLength;

        public override void Extend(Tensor features, IReadOnlyList<int[]> tokens)
        {
            using var scope = NewDisposeScope();
            var next = tokens[0][1..];
            Assert.Equal(next.Length, features.shape[1]);
            if (_extended > 0) Assert.Equal(head.Next[^1], tokens[0][0]);
            head.Features.AddRange(features.to(ScalarType.Float32).contiguous().data<float>().ToArray());
            head.Next.AddRange(next);
            head.Calls.Add(next.Length);
            _extended += next.Length;
        }

        public override IReadOnlyList<Draft> Propose(DraftTree tree, ITokenSampler sampler)
        {
            var length = tree.Depth;
            head.Asked.Add(length);
            if (head.Logits is { } logits)
                return [Draft.Chain(sampler.Sample(logits.narrow(0, 0, length), 1).Select(row => row[0]))];
            return [Draft.Chain(head.Script(_extended + 1 - head.Prompt, length)
                .Select(token => new SampledToken(token, 1, null)))];
        }
    }

    private Func<int, int, IEnumerable<int>> Script => script;

    private int Prompt => prompt;
}
