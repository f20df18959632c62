using Koala.Lab.Drafting.Trees;
using static TorchSharp.torch;

namespace Koala.Lab.Drafting;

/// <summary>
/// Looks up each sequence in an index of its own. Its candidates are certain: q is 1 for each of them.
/// </summary>
internal sealed class PromptLookupDrafter(PromptLookup options, int batch) : Drafter
{
    private readonly PromptLookupIndex?[] _indices = new PromptLookupIndex?[batch];

    public override int MaxDraftLength => options.MaxDraftLength;

    public override void Extend(Tensor features, IReadOnlyList<int[]> tokens)
    {
        for (var b = 0; b < batch; b++)
        {
            if (tokens[b].Length == 0) continue;
            // In every later call the first token is the old root, which is known.
            var known = _indices[b] is null ? 0 : 1;
            var index = _indices[b] ??= new PromptLookupIndex(options.Shortest, options.Longest);
            foreach (var token in tokens[b].AsSpan(known)) index.Append(token);
        }
    }

    public override void Forget(int sequence) => _indices[sequence] = null;

    /// <exception cref="KoalaException">The tree is not a chain.</exception>
    public override IReadOnlyList<Draft> Propose(DraftTree tree, ITokenSampler sampler)
    {
        if (tree is not ChainTree)
            throw KoalaException.ForOption("Tree", $"is {tree.Name}, but prompt lookup finds one token after another",
                "leave it out, or set it to chain");
        return [.. _indices.Select(index => index is null ? Draft.Empty : Chain(index.Continue(tree.Depth)))];
    }

    private static Draft Chain(IEnumerable<int> tokens) =>
        Draft.Chain(tokens.Select(token => new SampledToken(token, 1, null)));
}
