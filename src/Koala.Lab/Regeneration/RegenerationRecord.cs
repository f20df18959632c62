using System.Globalization;
using Koala.Lab.Data;
using Koala.Lab.Runtime;
using Koala.Lab.Targets;

namespace Koala.Lab.Regeneration;

/// <summary>Everything that decides the answers to a file.</summary>
/// <remarks>The batch size and the device are not part of it, since they change answers by rounding only.</remarks>
internal sealed record RegenerationRecord(
    string Target, string Tokenizer, string Dtype, string Prompts, string PromptsHash, int? Limit, string? System,
    int MaxTokens, double Temperature, int TopK, double TopP, int Seed)
{
    /// <summary>The record of a run with this target and these options.</summary>
    /// <exception cref="KoalaException">The file of prompts cannot be read.</exception>
    public static RegenerationRecord Create(Target target, RegenerationOptions options)
    {
        var generation = options.Generation;
        return new RegenerationRecord(
            target.Identity.ToString(), target.Tokenizer.Hash, Dtypes.Name(target.WeightDtype),
            Path.GetFileName(options.Prompts), DatasetFolder.Sha256(options.Prompts), options.Limit, options.System,
            generation.MaxTokens, generation.Temperature, generation.TopK, generation.TopP, generation.Seed);
    }

    /// <summary>Checks that a run that is resumed has the same record as before.</summary>
    /// <param name="path">The file that holds this record.</param>
    /// <param name="now">The record of the run that resumes.</param>
    /// <exception cref="KoalaException">The records differ.</exception>
    public void CheckEqual(string path, RegenerationRecord now)
    {
        foreach (var (before, after) in Options.Zip(now.Options))
            if (before.Value != after.Value)
                throw new KoalaException(path, $"was begun with {before.Option} {before.Value}, but now it is {after.Value}",
                    "resume with the same options as before, or remove it and start again");
    }

    private IEnumerable<(MessageTemplate Option, string Value)> Options =>
    [
        ($"{new OptionName(nameof(Target))}", Target),
        ("the tokenizer", Tokenizer),
        ($"{new OptionName(nameof(Dtype))}", Dtype),
        // The name is for the reader of a message. The hash decides whether the file is the same.
        ($"{new OptionName(nameof(Prompts))}", $"{Prompts} (SHA-256 {PromptsHash[..Math.Min(16, PromptsHash.Length)]})"),
        ($"{new OptionName(nameof(Limit))}", Limit?.ToString(CultureInfo.InvariantCulture) ?? "left out"),
        ($"{new OptionName(nameof(System))}", System is null ? "left out" : $"'{System}'"),
        ($"{new OptionName(nameof(MaxTokens))}", MaxTokens.ToString(CultureInfo.InvariantCulture)),
        ($"{new OptionName(nameof(Temperature))}", Temperature.ToString(CultureInfo.InvariantCulture)),
        ($"{new OptionName(nameof(TopK))}", TopK.ToString(CultureInfo.InvariantCulture)),
        ($"{new OptionName(nameof(TopP))}", TopP.ToString(CultureInfo.InvariantCulture)),
        ($"{new OptionName(nameof(Seed))}", Seed.ToString(CultureInfo.InvariantCulture)),
    ];
}
