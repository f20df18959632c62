using System.Security.Cryptography;
using Koala.Lab.Runtime.Machine;
using Koala.Lab.Runtime.Native;

namespace Koala.Lab.Runs;

/// <summary>The circumstances of a result, without which it is not to be compared.</summary>
/// <param name="Command">The command line that made it, argument by argument.</param>
/// <param name="Commit">The git commit of Koala's sources; null outside a clone or without git.</param>
/// <param name="Machine">The machine.</param>
/// <param name="LibTorch">libtorch's version and where it came from.</param>
/// <param name="Prompts">The file of prompts, by name; null where the result is of none.</param>
/// <param name="PromptsHash">SHA-256 of that file, 16 hex digits.</param>
/// <param name="Measured">When, UTC.</param>
public sealed record Provenance(IReadOnlyList<string> Command, GitCommit? Commit, MachineInfo Machine, string LibTorch, string? Prompts, string? PromptsHash, DateTimeOffset Measured)
{
    /// <summary>Of a result that is about to be made here: taken before long work, so that a file that goes meanwhile costs nothing.</summary>
    /// <param name="command">The command line, argument by argument.</param>
    /// <param name="prompts">The path of the file of prompts; null: none.</param>
    /// <param name="time">The clock; the system's by default.</param>
    /// <exception cref="KoalaException">The file of prompts cannot be read.</exception>
    public static Provenance Create(IReadOnlyList<string> command, string? prompts, TimeProvider? time = null) => new(command, GitCommit.OfKoala,
        MachineInfo.Current, $"{LibTorchVersion.Loaded ?? "of unknown version"}, {Runtime.Native.LibTorch.Origin}", Path.GetFileName(prompts), prompts is null ? null : HashOf(prompts), (time ?? TimeProvider.System).GetUtcNow());

    private static string HashOf(string prompts)
    {
        try
        {
            using var stream = File.OpenRead(prompts);
            return Convert.ToHexStringLower(SHA256.HashData(stream))[..16];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KoalaException(prompts, $"cannot be read ({e.Message.TrimEnd('.')})", "check the path and its permissions", e);
        }
    }
}
