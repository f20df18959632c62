using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Targets;
using MathNet.Numerics.Random;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Decoding;

/// <summary>
/// Proposes trees of random form in which the target's own next tokens stand somewhere, as deep as chance has it: every
/// way of accepting comes up.
/// </summary>
/// <param name="truths">Of each sequence the target's own answer.</param>
/// <param name="nodes">The most candidates of a tree.</param>
internal sealed class PlantedTrees(IReadOnlyList<int[]> truths, int nodes) : IDraftSource
{
    public int MaxDraftLength => 16;

    public IReadOnlyList<int> FeatureLayers => [];

    /// <summary>Accepted candidates of each CatchUp.</summary>
    public List<int> Told { get; } = [];

    public Drafter NewDrafter(Target target, int batch, int capacity) => new Planter(this, target.Config.VocabularySize, batch);

    private sealed class Planter(PlantedTrees trees, int vocabulary, int batch) : Drafter
    {
        private readonly int[] _done = new int[batch];   // answer tokens each sequence has
        private readonly RandomSource _random = new Xoshiro256StarStar(7, threadSafe: false);
        private bool _begun;

        public override int MaxDraftLength => trees.MaxDraftLength;

        public override void Extend(Tensor features, IReadOnlyList<int[]> tokens)
        {
            for (var b = 0; b < batch; b++)
            {
                if (tokens[b].Length == 0) continue;
                Assert.InRange(features.shape[1], tokens[b].Length - 1, int.MaxValue);
                if (_begun) trees.Told.Add(tokens[b].Length - 2);
                _done[b] += _begun ? tokens[b].Length - 1 : 1;
            }
            _begun = true;
        }

        public override IReadOnlyList<Draft> Propose(DraftTree tree, ITokenSampler sampler) => [.. Enumerable.Range(0, batch).Select(Tree)];

        private Draft Tree(int sequence)
        {
            var (candidates, onPath) = (new List<Candidate>(), new List<int> { -1 });
            var right = _random.Next(5);
            var size = _random.Next(trees.Nodes + 1);
            while (candidates.Count < size)
            {
                // The next true token under the path so far, or anything under any node, but no token twice under one.
                var truth = trees.TruthOf(sequence, _done[sequence] + onPath.Count - 1);
                var plant = onPath.Count <= right && _random.Next(2) == 0;
                var parent = plant ? onPath[^1] : _random.Next(candidates.Count + 1) - 1;
                var token = plant ? truth : _random.Next(vocabulary);
                if (candidates.Any(c => c.Parent == parent && c.Token == token)) continue;
                if (plant) onPath.Add(candidates.Count);
                candidates.Add(new Candidate(token, parent, null, null));
            }
            return new Draft(candidates);
        }
    }

    private int Nodes => nodes;

    private int TruthOf(int sequence, int at) => at < truths[sequence].Length ? truths[sequence][at] : 0;
}
