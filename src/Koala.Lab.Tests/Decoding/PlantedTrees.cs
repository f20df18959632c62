using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Targets;
using MathNet.Numerics.Random;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Decoding;

/// <summary>
/// Proposes random trees that contain the target's next tokens down to a random depth, so that every way of accepting
/// occurs.
/// </summary>
/// <param name="answers">The target's own answer for each sequence.</param>
/// <param name="nodes">The largest number of candidates in a tree.</param>
internal sealed class PlantedTrees(IReadOnlyList<int[]> answers, int nodes) : IDraftSource
{
    public int MaxDraftLength => 16;

    public IReadOnlyList<int> FeatureLayers => [];

    /// <summary>The number of accepted candidates at each call of Extend.</summary>
    public List<int> AcceptedCounts { get; } = [];

    public Drafter NewDrafter(Target target, int batch, int capacity) => new Planter(this, target.Config.VocabularySize, batch);

    private sealed class Planter(PlantedTrees trees, int vocabulary, int batch) : Drafter
    {
        private readonly int[] _done = new int[batch];   // the number of answer tokens of each sequence
        private readonly RandomSource _random = new Xoshiro256StarStar(7, threadSafe: false);
        private bool _begun;

        public override int MaxDraftLength => trees.MaxDraftLength;

        public override void Extend(Tensor features, IReadOnlyList<int[]> tokens)
        {
            for (var b = 0; b < batch; b++)
            {
                if (tokens[b].Length == 0) continue;
                Assert.InRange(features.shape[1], tokens[b].Length - 1, int.MaxValue);
                if (_begun) trees.AcceptedCounts.Add(tokens[b].Length - 2);
                _done[b] += _begun ? tokens[b].Length - 1 : 1;
            }
            _begun = true;
        }

        public override IReadOnlyList<Draft> Propose(DraftTree tree, ITokenSampler sampler) =>
            [.. Enumerable.Range(0, batch).Select(Tree)];

        private Draft Tree(int sequence)
        {
            var (candidates, onPath) = (new List<Candidate>(), new List<int> { -1 });
            var depth = _random.Next(5);
            var size = _random.Next(trees.Nodes + 1);
            while (candidates.Count < size)
            {
                // The next correct token is added below the path so far, or a random token below a random node; no two
                // siblings are the same token.
                var correct = trees.CorrectToken(sequence, _done[sequence] + onPath.Count - 1);
                var plant = onPath.Count <= depth && _random.Next(2) == 0;
                var parent = plant ? onPath[^1] : _random.Next(candidates.Count + 1) - 1;
                var token = plant ? correct : _random.Next(vocabulary);
                if (candidates.Any(c => c.Parent == parent && c.Token == token)) continue;
                if (plant) onPath.Add(candidates.Count);
                candidates.Add(new Candidate(token, parent, null, null));
            }
            return new Draft(candidates);
        }
    }

    private int Nodes => nodes;

    private int CorrectToken(int sequence, int index) => index < answers[sequence].Length ? answers[sequence][index] : 0;
}
