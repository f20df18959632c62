using Koala.Lab.Drafting;
using Koala.Lab.Targets;

namespace Koala.Cli.Options;

/// <summary>What drafts, before it is loaded.</summary>
/// <param name="Name">What reports call it.</param>
/// <param name="Load">Loads it for the target; where it is disposable it is the caller's to dispose.</param>
internal sealed record DraftLocation(string Name, Func<Target, IDraftSource> Load);
