using Koala.Lab.Decoding;

namespace Koala.Lab.Regeneration;

/// <summary>How a target answers a file of prompts.</summary>
public sealed record RegenerationOptions
{
    /// <summary>
    /// The default for the largest number of tokens of an answer. The chats that ship with Koala have the same limit.
    /// </summary>
    public const int DefaultMaxTokens = 320;

    /// <summary>The file of prompts or chats, in JSON Lines, which may be compressed as .gz.</summary>
    public required string Prompts { get; init; }

    /// <summary>
    /// The file of chats to write, which must not exist yet. It is compressed if its name ends in .gz.
    /// </summary>
    public required string Out { get; init; }

    /// <summary>The number of lines to answer, from the first one on; null (the default) means all.</summary>
    public int? Limit { get; init; }

    /// <summary>A system message for chats that have none of their own. Default: none.</summary>
    public string? System { get; init; }

    /// <summary>How answers are generated. Default: greedy, with at most 320 tokens.</summary>
    public GenerationOptions Generation { get; init; } = new() { MaxTokens = DefaultMaxTokens };

    /// <summary>The number of answers at once; null (the default) means a number that suits the device.</summary>
    public int? Batch { get; init; }

    /// <summary>
    /// Whether to continue from the answers that an interrupted run left beside <see cref="Out"/>. Default false.
    /// </summary>
    public bool Resume { get; init; }

    /// <summary>The file that keeps the answers until all are there.</summary>
    public string Part => $"{Out}.part";

    /// <summary>Checks the options and the files. This needs no target.</summary>
    /// <exception cref="KoalaException">
    /// An option is out of range, the output exists already, there is an interrupted run that must be resumed or
    /// removed, or there is nothing to resume.
    /// </exception>
    public void Validate()
    {
        Generation.Validate();
        if (Batch < 1)
            throw KoalaException.ForOption(nameof(Batch), $"is {Batch}, but at least one prompt is answered at a time",
                "set it to 1 or more, or leave it out");
        if (Path.Exists(Out))
            throw new KoalaException(Out, "exists already", $"choose another {new OptionName(nameof(Out))}, or remove it");
        if (!Resume) AnswerLog.CheckHasNoAnswers(Part);
        if (Resume && !Path.Exists(Part))
            throw new KoalaException(Part, "is not there, so there is nothing to resume",
                $"leave {new OptionName(nameof(Resume))} out, or name the same {new OptionName(nameof(Out))} as before");
    }
}
