using System.CommandLine;
using Koala.Lab;
using Koala.Lab.Decoding;
using Koala.Lab.Drafting.Trees;

namespace Koala.Cli.Options;

/// <summary>
/// The draft tree of a round, and which candidates are accepted: <c>--tree --tree-tokens --tree-levels --tree-top-k
/// --confidence-threshold --acceptance</c>.
/// </summary>
internal sealed class TreeOptions
{
    private const string Chain = "chain";
    private const string Dynamic = "dynamic";

    private readonly Option<string?> _tree = SharedOptions.Text("--tree", "NAME",
        "The draft tree of a round: chain, mc_sim_7b_63 or eagle-1 (published static trees), "
        + "dynamic (the candidates that the head considers most likely), "
        + "or a file that koala fit-tree has written. Default: a chain or a dynamic tree, chosen by a short measurement.");
    private readonly Option<int?> _tokens = SharedOptions.OptionalInteger("--tree-tokens",
        "Tokens of a dynamic tree, including the root. Default: 60.");
    private readonly Option<int?> _levels = SharedOptions.OptionalInteger("--tree-levels",
        "Levels of a dynamic tree. Default: 7, or as many as the head can draft.");
    private readonly Option<int?> _topK = SharedOptions.OptionalInteger("--tree-top-k",
        "Nodes that a dynamic tree expands per level, and children of each. Default: 10.");
    private readonly Option<double> _confidenceThreshold = SharedOptions.Number("--confidence-threshold",
        "Draft no further token once the product of the head's confidences is below this, 0 to 1; 0 never cuts a chain. It needs a head "
        + "that was trained with --confidence.", () => new GenerationOptions().ConfidenceThreshold);
    private readonly Option<string> _acceptance = SharedOptions.Choice("--acceptance",
        "Which candidates are accepted when sampling: lossless keeps the target's distribution, typical (Medusa's) does not.",
        () => "lossless", "lossless", "typical");

    private Option[] OfDynamicTree => [_tokens, _levels, _topK];

    private Option[] All => [_tree, .. OfDynamicTree, _confidenceThreshold, _acceptance];

    public void AddTo(Command command) => command.AddOptions(All);

    /// <summary>The first of these options that the user gave. They all need something that drafts.</summary>
    public Option? FirstGiven(ParseResult result) => result.FirstGiven(All);

    /// <exception cref="KoalaException">
    /// An option is out of range or belongs to another kind of tree, or a file holds no tree.
    /// </exception>
    public GenerationOptions Read(ParseResult result, GenerationOptions options)
    {
        var name = result.GetValue(_tree) ?? Chain;
        if (name != Dynamic && result.FirstGiven(OfDynamicTree) is { } given)
        {
            throw new KoalaException(given.Name, $"shapes a dynamic tree, but --tree is {name}",
                "give --tree dynamic, or leave it out");
        }
        return options with
        {
            // A chain was asked for; its length may still be chosen.
            ChooseTrees = result.GetValue(_tree) is null,
            Tree = name switch
            {
                Chain => null,
                Dynamic => ReadDynamic(result),
                _ => StaticTree.Find(name),
            },
            ConfidenceThreshold = result.GetValue(_confidenceThreshold),
            Acceptance = Enum.Parse<AcceptanceMode>(result.GetValue(_acceptance)!, ignoreCase: true),
        };
    }

    private DynamicTree ReadDynamic(ParseResult result)
    {
        var defaults = new DynamicTree();
        return defaults with
        {
            Tokens = result.GetValue(_tokens) ?? defaults.Tokens,
            Levels = result.GetValue(_levels),
            TopK = result.GetValue(_topK) ?? defaults.TopK,
        };
    }
}
