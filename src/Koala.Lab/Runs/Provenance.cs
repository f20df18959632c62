using Koala.Lab.Runtime.Files;
using Koala.Lab.Runtime.Machine;
using Koala.Lab.Runtime.Native;

namespace Koala.Lab.Runs;

/// <summary>The circumstances of a result. Results should be compared only together with them.</summary>
/// <param name="Command">The command line that produced the result, argument by argument.</param>
/// <param name="Commit">The git commit of Koala's sources; null if Koala runs outside a clone or there is no git.</param>
/// <param name="Machine">The machine.</param>
/// <param name="LibTorch">The version of libtorch and where it was loaded from.</param>
/// <param name="Prompts">The name of the file of prompts; null if the result does not depend on one.</param>
/// <param name="PromptsHash">The first 16 hex digits of that file's SHA-256.</param>
/// <param name="Measured">The time of the measurement, in UTC.</param>
public sealed record Provenance(IReadOnlyList<string> Command, GitCommit? Commit, MachineInfo Machine, string LibTorch,
    string? Prompts, string? PromptsHash, DateTimeOffset Measured)
{
    /// <summary>
    /// Creates the provenance of a result that this process will compute. Call it before long work, so that no work is lost if the
    /// file of prompts cannot be read afterwards.
    /// </summary>
    /// <param name="command">The command line, argument by argument.</param>
    /// <param name="prompts">The path of the file of prompts; null if there is none.</param>
    /// <param name="time">The clock. Default the system's clock.</param>
    /// <exception cref="KoalaException">The file of prompts cannot be read.</exception>
    public static Provenance Create(IReadOnlyList<string> command, string? prompts, TimeProvider? time = null) => new(
        command,
        GitCommit.OfKoala,
        MachineInfo.Current,
        LibTorch: $"{LibTorchVersion.Loaded ?? "unknown version"}, {Runtime.Native.LibTorch.Origin}",
        Prompts: Path.GetFileName(prompts),
        PromptsHash: prompts is null ? null : InputFile.Sha256(prompts)[..16],
        Measured: (time ?? TimeProvider.System).GetUtcNow());
}
