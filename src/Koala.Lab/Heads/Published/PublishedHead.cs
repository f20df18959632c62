using System.Text.RegularExpressions;
using Koala.Lab.Checkpoints;
using Koala.Lab.Targets;

namespace Koala.Lab.Heads.Published;

/// <summary>
/// Heads in the formats of other projects: Medusa's, vLLM's Medusa, EAGLE's and EAGLE-3's with the names of SafeAILab, SpecForge, vLLM and
/// speculators.
/// </summary>
/// <remarks>
/// Configs of published heads are often wrong, so heads, layers and widths are counted from the tensors. Every tensor is used, or named
/// with the reason why it is not, or refused.
/// </remarks>
public static partial class PublishedHead
{
    private static readonly string[] s_medusaFiles = ["medusa_lm_head.safetensors", "medusa_lm_head.pt"];

    // What wrappers and trainers put before the names.
    private static readonly string[] s_beginnings = ["state_dict.", "module.", "draft_model.", "model."];

    /// <summary>
    /// The format of the head in a folder, such as EAGLE-3; null if it holds no head of another project that Koala reads.
    /// </summary>
    /// <exception cref="KoalaException">The weights cannot be read.</exception>
    public static string? FormatOf(string folder)
    {
        KoalaException.ThrowIfNull(folder);
        if (!Directory.Exists(folder) || HeadFolder.IsHead(folder) || ForeignFolder.FormatOf(folder) is not { } format
            || !ForeignFolder.IsRead(format)) return null;
        using var source = Open(folder);
        return Named(Kind(source), format, source);
    }

    /// <summary>Reads a head for a target.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="target">The target that it was made for.</param>
    /// <returns>The head, whose <see cref="DraftHead.Origin"/> says what was read.</returns>
    /// <exception cref="KoalaException">
    /// The folder holds no such head, a tensor is damaged, unknown or of a wrong shape, or the head was made for another target.
    /// </exception>
    internal static DraftHead Load(string folder, Target target)
    {
        var format = ForeignFolder.FormatOf(folder)!;
        using var source = Open(folder);
        // A folder may hold Medusa's file alone, but a config that is there has to be read.
        var path = Path.Combine(folder, FolderConfig.FileName);
        var config = File.Exists(path) ? new JsonSection(FolderConfig.Read(path), path) : null;
        var kind = Kind(source);
        var name = Named(kind, format, source);
        return kind == Medusa ? PublishedMedusa.Read(source, config, target, name) : PublishedEagle.Read(source, config, target, name);
    }

    /// <summary>Opens the weights of a head's folder: Medusa's own file, or one of Hugging Face's names.</summary>
    /// <param name="folder">The folder.</param>
    /// <returns>The tensors under the names of the file. The caller must dispose them.</returns>
    /// <exception cref="KoalaException">There are none, or they cannot be read.</exception>
    public static ITensorSource Open(string folder)
    {
        KoalaException.ThrowIfNull(folder);
        var file = s_medusaFiles.Select(name => Path.Combine(folder, name)).FirstOrDefault(File.Exists);
        return file is null ? WeightFile.OpenFolder(folder) : WeightFile.Open(file);
    }

    /// <summary>A name without what wrappers put before it.</summary>
    internal static string Plain(string name)
    {
        for (var before = ""; before != name;)
        {
            before = name;
            foreach (var beginning in s_beginnings)
                if (name.StartsWith(beginning, StringComparison.Ordinal)) name = name[beginning.Length..];
        }
        return name;
    }

    private const string Medusa = "Medusa", Eagle = "EAGLE", Eagle3 = "EAGLE-3";

    // The kind of head that the tensors are those of, which may not be what the config says.
    private static string Kind(ITensorSource source)
    {
        var names = source.Tensors.Keys.Select(Plain).ToHashSet();
        if (names.Any(name => MedusaName().IsMatch(name))) return Medusa;
        if (names.Contains("midlayer.hidden_norm.weight") || names.Contains("layers.0.hidden_norm.weight")) return Eagle3;
        if (names.Contains("fc.weight") || names.Contains("fusion_fc.weight")) return Eagle;
        throw new KoalaException(source.Path,
            $"has neither the tensors of Medusa's heads nor those of EAGLE's, but {MessageText.List([.. source.Tensors.Keys])}",
            "check that it is the folder of a draft head");
    }

    // The kind with the project whose names the tensors have.
    private static string Named(string kind, string format, ITensorSource source)
    {
        bool Has(string part) => source.Tensors.Keys.Any(name => name.Contains(part, StringComparison.Ordinal));
        if (format.StartsWith("speculators", StringComparison.Ordinal)) return $"{kind} (speculators)";
        return kind switch
        {
            Medusa => Has("blocks.") ? "Medusa (vLLM)" : Medusa,
            Eagle3 => Has("midlayer.") ? "EAGLE-3 (SafeAILab, SGLang)" : "EAGLE-3 (vLLM)",
            _ => kind,
        };
    }

    [GeneratedRegex(@"^(medusa_heads?\.)?(\d+\.\d+\.linear\.weight|blocks\.\d+\.layers\.\d+\.weight)$", RegexOptions.CultureInvariant)]
    private static partial Regex MedusaName();
}
