using System.Globalization;
using System.Security.Cryptography;
using Koala.Lab.Runtime;
using Koala.Lab.Targets;

namespace Koala.Lab.Regeneration;

/// <summary>All that decides what the answers to a file are. The size of the batch and the device do not, up to rounding.</summary>
internal sealed record RegenerationRecord(string Target, string Tokenizer, string Dtype, string Prompts, string PromptsHash, int? Limit, string? System,
    int MaxTokens, double Temperature, int TopK, double TopP, int Seed)
{
    /// <exception cref="KoalaException">The file of prompts cannot be read.</exception>
    public static RegenerationRecord Create(Target target, RegenerationOptions options) => new(
        target.Identity.ToString(), target.Tokenizer.Hash, Dtypes.Name(target.Dtype), Path.GetFileName(options.Prompts), HashOf(options.Prompts), options.Limit, options.System,
        options.Generation.MaxTokens, options.Generation.Temperature, options.Generation.TopK, options.Generation.TopP, options.Generation.Seed);

    /// <exception cref="KoalaException">A run was begun with something else than what is asked for now.</exception>
    public void CheckEqual(string path, RegenerationRecord now)
    {
        foreach (var (option, was, wanted) in Options.Zip(now.Options, (a, b) => (a.Option, a.Value, b.Value)))
            if (was != wanted)
                throw new KoalaException(path, $"was begun with {option} {was}, but now it is {wanted}", "resume with what it was begun with, or remove it and begin anew");
    }

    private IEnumerable<(MessageTemplate Option, string Value)> Options =>
    [
        ($"{new OptionName(nameof(Target))}", Target),
        ("the tokenizer", Tokenizer),
        ($"{new OptionName(nameof(Dtype))}", Dtype),
        // The name tells a person which file it was; the content decides.
        ($"{new OptionName(nameof(Prompts))}", $"{Prompts} (SHA-256 {PromptsHash[..16]})"),
        ($"{new OptionName(nameof(Limit))}", Limit?.ToString(CultureInfo.InvariantCulture) ?? "left out"),
        ($"{new OptionName(nameof(System))}", System is null ? "left out" : $"'{System}'"),
        ($"{new OptionName(nameof(MaxTokens))}", MaxTokens.ToString(CultureInfo.InvariantCulture)),
        ($"{new OptionName(nameof(Temperature))}", Temperature.ToString(CultureInfo.InvariantCulture)),
        ($"{new OptionName(nameof(TopK))}", TopK.ToString(CultureInfo.InvariantCulture)),
        ($"{new OptionName(nameof(TopP))}", TopP.ToString(CultureInfo.InvariantCulture)),
        ($"{new OptionName(nameof(Seed))}", Seed.ToString(CultureInfo.InvariantCulture)),
    ];

    private static string HashOf(string path)
    {
        try
        {
            using var stream = File.OpenRead(path);
            return Convert.ToHexStringLower(SHA256.HashData(stream));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KoalaException(path, $"cannot be read ({e.Message.TrimEnd('.')})", "check the path and its permissions", e);
        }
    }
}
