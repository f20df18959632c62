namespace Koala.Lab.Heads.Published;

/// <summary>Where a head that another project trained comes from, and what Koala read.</summary>
/// <param name="Format">The format that was recognized: Medusa, EAGLE, EAGLE-3, with the project whose names it has.</param>
/// <param name="Ignored">The tensors that were not used, each with the reason.</param>
/// <param name="Notes">What the config says otherwise than the tensors, and other facts worth knowing. The list may be empty.</param>
public sealed record HeadOrigin(string Format, IReadOnlyList<string> Ignored, IReadOnlyList<string> Notes)
{
    /// <summary>A description of one line.</summary>
    public override string ToString()
    {
        var ignored = Ignored.Count == 0 ? "" : $"; not used: {MessageText.List(Ignored)}";
        return $"{Format}{string.Concat(Notes.Select(note => $"; {note}"))}{ignored}";
    }
}
