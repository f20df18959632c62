namespace Koala.Lab.Drafting.Trees;

/// <summary>A tree as it grows, node by node, in the order of its shape. Where a distribution had too few tokens a node stays empty, and so does what is below it.</summary>
internal sealed class TreeBuilder(int nodes)
{
    private readonly List<SampledToken?> _choices = new(nodes);
    private readonly List<int> _parents = new(nodes);

    /// <param name="parent">Number of the node before it, -1 for the root.</param>
    /// <param name="sampled">Null: there was none.</param>
    public void Add(int parent, SampledToken? sampled)
    {
        _choices.Add(parent >= 0 && _choices[parent] is null ? null : sampled);
        _parents.Add(parent);
    }

    /// <summary>The token of a node. An empty one has some token, so that every sequence of a batch has as many.</summary>
    public int TokenOf(int node) => _choices[node]?.Token ?? 0;

    /// <summary>The nodes that are not empty.</summary>
    public Draft Draft()
    {
        var candidates = new List<Candidate>(_choices.Count);
        var places = new int[_choices.Count];
        for (var i = 0; i < places.Length; i++)
        {
            if (_choices[i] is not { } sampled) continue;
            places[i] = candidates.Count;
            candidates.Add(new Candidate(sampled.Token, _parents[i] < 0 ? -1 : places[_parents[i]], sampled.Q, sampled.Distribution));
        }
        return new Draft(candidates);
    }
}
