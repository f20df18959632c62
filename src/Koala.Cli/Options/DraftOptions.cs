using System.CommandLine;
using Koala.Lab;
using Koala.Lab.Drafting;

namespace Koala.Cli.Options;

/// <summary>The draft source: <c>--head</c>, which is a head or prompt lookup, or <c>--draft-model</c>.</summary>
/// <param name="defaultText">What applies if neither is given; it ends the help of <c>--head</c>.</param>
internal sealed class DraftOptions(string defaultText)
{
    public Option<string?> Head { get; } = SharedOptions.Text("--head", $"FOLDER|{PromptLookup.Name}",
        "What drafts: the folder of a head that was made for the target, or of the run that trained it; "
        + $"or {PromptLookup.Name}, which copies what followed the last tokens where they occurred before.{defaultText}");

    public Option<string?> Model { get; } = SharedOptions.Text("--draft-model", "PATH",
        "Instead of a head, a smaller model with the same vocabulary drafts. It is a path or a name, as for --target.");

    public void AddTo(Command command) => command.AddOptions(Head, Model);

    public bool IsGiven(ParseResult result) => result.Has(Head) || result.Has(Model);

    /// <summary>The draft source that the user named; null if there is none.</summary>
    /// <exception cref="KoalaException">The folder does not exist, or both options are given.</exception>
    public DraftLocation? Find(ParseResult result)
    {
        if (result.Has(Head) && result.Has(Model))
        {
            throw new KoalaException(Model.Name, "is given together with --head, but only one of them drafts",
                "leave one of them out");
        }
        if (result.GetValue(Model) is { } path)
            return new DraftLocation(HeadLocation.NameOf(path), target => DraftModel.Load(path, target));
        return result.GetValue(Head) is { } name ? FindHead(name) : null;
    }

    /// <summary>What <c>--head</c> names.</summary>
    /// <exception cref="KoalaException">The folder does not exist.</exception>
    public static DraftLocation FindHead(string name)
    {
        if (name == PromptLookup.Name) return new DraftLocation(name, _ => new PromptLookup());
        var location = HeadLocation.Find(name);
        return new DraftLocation(location.Name, location.Load);
    }
}
