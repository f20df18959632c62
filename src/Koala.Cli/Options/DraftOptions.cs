using System.CommandLine;
using Koala.Lab;
using Koala.Lab.Drafting;

namespace Koala.Cli.Options;

/// <summary>What drafts: <c>--head</c>, a head or a drafter that needs none, or <c>--draft-model</c>.</summary>
/// <param name="standard">What holds where neither is given; ends the help of <c>--head</c>.</param>
internal sealed class DraftOptions(string standard)
{
    public Option<string?> Head { get; } = SharedOptions.Text("--head", $"FOLDER|{PromptLookup.Name}",
        $"What drafts: a head made for the target, by its folder or the run that trained it, or {PromptLookup.Name}: what followed the last words where they stood before.{standard}");

    public Option<string?> Model { get; } = SharedOptions.Text("--draft-model", "PATH", "In place of a head, a smaller model of the same vocabulary drafts; a path or name as --target takes it.");

    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])[Head, Model]) command.Options.Add(option);
    }

    public bool IsGiven(ParseResult result) => result.Has(Head) || result.Has(Model);

    /// <exception cref="KoalaException">There is no such folder, or both are given.</exception>
    public DraftLocation? Find(ParseResult result)
    {
        if (result.Has(Head) && result.Has(Model)) throw new KoalaException(Model.Name, "and --head are given, but one of them drafts", "leave one of them out");
        if (result.GetValue(Model) is { } path) return new DraftLocation(HeadLocation.NameOf(path), target => DraftModel.Load(path, target));
        if (result.GetValue(Head) is not { } name) return null;
        if (name == PromptLookup.Name) return new DraftLocation(name, _ => new PromptLookup());
        var place = HeadLocation.Find(name);
        return new DraftLocation(place.Name, place.Load);
    }
}
