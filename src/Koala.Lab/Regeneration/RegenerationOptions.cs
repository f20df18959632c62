using Koala.Lab.Decoding;

namespace Koala.Lab.Regeneration;

/// <summary>How a target answers a file.</summary>
public sealed record RegenerationOptions
{
    /// <summary>The most tokens of an answer where nothing is said: as in the chats that ship with Koala.</summary>
    public const int StandardMaxTokens = 320;

    /// <summary>A file of prompts or of chats, JSON Lines, also .gz.</summary>
    public required string Prompts { get; init; }

    /// <summary>The file of chats to write, which must not exist yet; gzip where it ends in .gz.</summary>
    public required string Out { get; init; }

    /// <summary>The first so many lines; null (the default): all.</summary>
    public int? Limit { get; init; }

    /// <summary>A system message for chats that have none of their own. Default: none.</summary>
    public string? System { get; init; }

    /// <summary>How each answer is generated. Default: the best token, at most 320.</summary>
    public GenerationOptions Generation { get; init; } = new() { MaxTokens = StandardMaxTokens };

    /// <summary>Answers at once; null (the default): what the device is good at.</summary>
    public int? Batch { get; init; }

    /// <summary>Go on with what an interrupted run left beside <see cref="Out"/>. Default false.</summary>
    public bool Resume { get; init; }

    /// <summary>Where answers are kept until all are there.</summary>
    public string Part => $"{Out}.part";

    /// <summary>Before the target is loaded: whether options and files go together.</summary>
    /// <exception cref="KoalaException">An option is out of range, the output exists already, or there is something, or nothing, to resume.</exception>
    public void Validate()
    {
        Generation.Validate();
        if (Batch < 1)
            throw KoalaException.ForOption(nameof(Batch), $"is {Batch}, but at least one prompt is answered at a time",
                "set it to 1 or more, or leave it out");
        if (Path.Exists(Out))
            throw new KoalaException(Out, "exists already", $"choose another {new OptionName(nameof(Out))}, or remove it");
        if (!Resume && Path.Exists(Part))
            throw new KoalaException(Part, "holds the answers of a run that was interrupted",
                $"use {new OptionName(nameof(Resume))} to go on with it, or remove it");
        if (Resume && !Path.Exists(Part))
            throw new KoalaException(Part, "is not there, so there is nothing to resume",
                $"leave {new OptionName(nameof(Resume))} out, or name the same {new OptionName(nameof(Out))} as before");
    }
}
