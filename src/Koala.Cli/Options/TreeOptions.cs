using System.CommandLine;
using Koala.Lab;
using Koala.Lab.Heads.Trees;

namespace Koala.Cli.Options;

/// <summary>What a round's draft looks like: <c>--tree --tree-tokens --tree-depth --tree-topk</c>.</summary>
internal sealed class TreeOptions
{
    private const string Chain = "chain", Dynamic = "dynamic";

    private readonly Option<string?> _tree = SharedOptions.Text("--tree", "NAME", "The draft: chain, mc_sim_7b_63, eagle-1, dynamic, or a file of paths that koala fit-tree wrote. Default: chain.");
    private readonly Option<int> _tokens = SharedOptions.Whole("--tree-tokens", "The most tokens of a step with a dynamic tree, the root among them.", () => new DynamicShape().Tokens);
    private readonly Option<int> _depth = SharedOptions.Whole("--tree-depth", "Levels of a dynamic tree.", () => new DynamicShape().Depth);
    private readonly Option<int> _topK = SharedOptions.Whole("--tree-topk", "Candidates of a level that get children in a dynamic tree, and children each gets.", () => new DynamicShape().TopK);

    public Option<string?> Tree => _tree;

    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])[_tree, _tokens, _depth, _topK]) command.Options.Add(option);
    }

    /// <summary>The tree asked for; null: a chain.</summary>
    /// <exception cref="KoalaException">There is no such tree, its file is wrong, or sizes are given for a tree that has its own.</exception>
    public DraftShape? Read(ParseResult result)
    {
        var name = result.GetValue(_tree) ?? Chain;
        if (name != Dynamic && ((Option[])[_tokens, _depth, _topK]).FirstOrDefault(result.Has) is { } ofDynamic)
            throw new KoalaException(ofDynamic.Name, "is a size of a dynamic tree", "give --tree dynamic, or leave it out");
        if (name == Chain) return null;
        if (name == Dynamic) return new DynamicShape { Tokens = result.GetValue(_tokens), Levels = result.Has(_depth) ? result.GetValue(_depth) : null, TopK = result.GetValue(_topK) };
        return StaticShape.Find(name);
    }
}
