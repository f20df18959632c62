using System.CommandLine;
using Koala.Lab;
using Koala.Lab.Decoding;
using Koala.Lab.Drafting.Trees;

namespace Koala.Cli.Options;

/// <summary>What a round's draft looks like and which candidates are kept: <c>--tree --tree-tokens --tree-depth --tree-topk --acceptance</c>.</summary>
internal sealed class TreeOptions
{
    private const string Chain = "chain";
    private const string Dynamic = "dynamic";

    private readonly Option<string?> _tree = SharedOptions.Text("--tree", "NAME",
        "What a round drafts: chain (the default), mc_sim_7b_63 or eagle-1 (trees that are always the same), dynamic (what the head holds likeliest), or a file of paths, as koala fit-tree writes.");
    private readonly Option<int?> _tokens = SharedOptions.WholeOrNone("--tree-tokens", $"Tokens of a dynamic tree, the root among them. Default: 60.");
    private readonly Option<int?> _depth = SharedOptions.WholeOrNone("--tree-depth", "Levels of a dynamic tree. Default: 7, or as many as the head can.");
    private readonly Option<int?> _topK = SharedOptions.WholeOrNone("--tree-topk", "Nodes of a dynamic tree that are expanded a level, and children of each. Default: 10.");
    private readonly Option<string> _acceptance = SharedOptions.Choice("--acceptance", "Which candidates are kept when sampling: lossless keeps the target's distribution, typical (Medusa's) does not.",
        () => "lossless", "lossless", "typical");

    private IEnumerable<Option> OfDynamic => [_tokens, _depth, _topK];

    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])[_tree, .. OfDynamic, _acceptance]) command.Options.Add(option);
    }

    /// <summary>The first of the options that only mean something with a head, where the user wrote one.</summary>
    public Option? OfHead(ParseResult result) => ((Option[])[_tree, .. OfDynamic, _acceptance]).FirstOrDefault(result.Has);

    /// <exception cref="KoalaException">An option is out of range or belongs to another kind of tree, or a file holds no tree.</exception>
    public GenerationOptions Read(ParseResult result, GenerationOptions options)
    {
        var name = result.GetValue(_tree) ?? Chain;
        if (name != Dynamic && OfDynamic.FirstOrDefault(result.Has) is { } option)
            throw new KoalaException(option.Name, $"shapes a dynamic tree, but --tree is {name}", "give --tree dynamic, or leave it out");
        var standard = new DynamicTree();
        return options with
        {
            Tree = name switch
            {
                Chain => null,
                Dynamic => standard with { Tokens = result.GetValue(_tokens) ?? standard.Tokens, Levels = result.GetValue(_depth), TopK = result.GetValue(_topK) ?? standard.TopK },
                _ => StaticTree.Find(name),
            },
            Acceptance = Enum.Parse<AcceptanceMode>(result.GetValue(_acceptance)!, ignoreCase: true),
        };
    }
}
