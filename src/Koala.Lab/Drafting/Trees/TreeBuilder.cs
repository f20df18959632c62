namespace Koala.Lab.Drafting.Trees;

/// <summary>
/// Builds a draft node by node, in the order of a <see cref="StaticTree"/>. Where a distribution has too few tokens, a
/// node stays empty, and so do its descendants.
/// </summary>
internal sealed class TreeBuilder(int nodes)
{
    private readonly List<SampledToken?> _choices = new(nodes);
    private readonly List<int> _parents = new(nodes);

    /// <summary>Adds a node.</summary>
    /// <param name="parent">The index of its parent, -1 for the root.</param>
    /// <param name="sampled">The token of the node; null leaves the node empty.</param>
    public void Add(int parent, SampledToken? sampled)
    {
        _choices.Add(parent >= 0 && _choices[parent] is null ? null : sampled);
        _parents.Add(parent);
    }

    /// <summary>
    /// The token of a node. An empty node has token 0, so that all sequences of a batch have the same number of tokens.
    /// </summary>
    public int TokenOf(int node) => _choices[node]?.Token ?? 0;

    /// <summary>The draft of the nodes that are not empty.</summary>
    public Draft Draft()
    {
        var candidates = new List<Candidate>(_choices.Count);
        var candidateOf = new int[_choices.Count];   // by node
        for (var i = 0; i < candidateOf.Length; i++)
        {
            if (_choices[i] is not { } sampled) continue;
            candidateOf[i] = candidates.Count;
            var parent = _parents[i] < 0 ? -1 : candidateOf[_parents[i]];
            candidates.Add(new Candidate(sampled.Token, parent, sampled.Q, sampled.Distribution));
        }
        return new Draft(candidates);
    }
}
