using Koala.Lab.Drafting;
using Koala.Lab.Targets;

namespace Koala.Cli.Options;

/// <summary>A draft source that is not loaded yet.</summary>
/// <param name="Name">The name that reports use.</param>
/// <param name="Load">Loads it for the target. If the result is disposable, the caller must dispose it.</param>
internal sealed record DraftLocation(string Name, Func<Target, IDraftSource> Load);
