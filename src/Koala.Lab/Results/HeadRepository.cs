using System.Text;
using System.Text.Json;
using Koala.Lab.Checkpoints.Hub;
using Koala.Lab.Evaluation;
using Koala.Lab.Heads;
using Koala.Lab.Runs;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Results;

/// <summary>What the card of a head says on the hub, beyond what its folder and its reports say.</summary>
public sealed record ModelCardOptions
{
    /// <summary>The hub's name of the target, org/name; null takes the target's name if it is one.</summary>
    public string? BaseModel { get; init; }

    /// <summary>The licence as the hub writes it, such as apache-2.0; null leaves it out.</summary>
    public string? Licence { get; init; }

    /// <summary>The hub's names of the data sets that the head was trained on.</summary>
    public IReadOnlyList<string> Datasets { get; init; } = [];

    /// <summary>How the head is used, in Markdown; null leaves it out.</summary>
    public string? Use { get; init; }
}

/// <summary>A repository of the hub with a draft head: the files of its folder, and a model card with the hub's metadata.</summary>
public static class HeadRepository
{
    private const string CardFile = "README.md";
    private const long LongestCard = 1 << 20;

    /// <summary>The files of a head, for <see cref="HubUpload"/>.</summary>
    /// <param name="folder">
    /// The folder of a run, of a head, or of a head that was exported to another format. A README.md in it is taken as it is; otherwise
    /// the card is made of the head's own card and, for a run, its newest report.
    /// </param>
    /// <param name="card">What else the card says.</param>
    /// <exception cref="KoalaException">The folder holds no head, or a file cannot be read.</exception>
    public static IReadOnlyList<HubContent> FilesOf(string folder, ModelCardOptions card)
    {
        KoalaException.ThrowIfNull(folder);
        KoalaException.ThrowIfNull(card);
        Check(card);
        var report = RunFolder.IsRun(folder) ? RunFinder.NewestReport(RunFolder.Open(folder), fault => throw fault) : null;
        var head = RunFolder.IsRun(folder) ? RunFolder.Open(folder).HeadFolder : folder;
        if (!File.Exists(Path.Combine(head, HeadFolder.ConfigFile)))
            throw new KoalaException(folder, "holds no head", "name the folder of a head, or of a run that has trained one");
        string[] names =
        [
            .. Directory.EnumerateFiles(head).Select(path => Path.GetFileName(path))
                .Where(name => !name.StartsWith('.') && AtomicFile.TargetOfTemporary(name) is null)
                .Order(StringComparer.Ordinal),
        ];
        if (names.Contains(CardFile)) return [.. names.Select(name => HubContent.OfFile(name, Path.Combine(head, name)))];
        return
        [
            HubContent.OfText(CardFile, Card(head, card, report)),
            .. names.Where(name => name != HeadFolder.CardFile).Select(name => HubContent.OfFile(name, Path.Combine(head, name))),
        ];
    }

    private static string Card(string head, ModelCardOptions card, EvaluationReport? report)
    {
        var cardFile = Path.Combine(head, HeadFolder.CardFile);
        var own = File.Exists(cardFile) ? InputFile.ReadText(cardFile, LongestCard).TrimEnd() : "# Draft head";
        var (kind, target) = HeadFolder.IsHead(head) && HeadFolder.ReadConfig(head) is var (options, identity)
            ? (options.Kind, identity.Name)
            : (null, null);
        var baseModel = card.BaseModel ?? (target is not null && HubName.IsRepo(target) ? target : null);
        var text = new StringBuilder("---\nlibrary_name: koala\npipeline_tag: text-generation\n");
        if (baseModel is not null) text.Append($"base_model: {Quoted(baseModel)}\n");
        if (card.Licence is not null) text.Append($"license: {Quoted(card.Licence)}\n");
        if (card.Datasets.Count > 0) text.Append("datasets:\n").AppendJoin("", card.Datasets.Select(name => $"- {Quoted(name)}\n"));
        text.Append("tags:\n- speculative-decoding\n- draft-model\n");
        if (kind is not null) text.Append($"- {Quoted(kind)}\n");
        text.Append($"---\n\n{own}\n");
        if (report is not null) text.Append($"\n## Measured\n\n```\n{report.ToString().TrimEnd()}\n```\n");
        if (card.Use is not null) text.Append($"\n## Use\n\n{card.Use.TrimEnd()}\n");
        return text.ToString();
    }

    private static void Check(ModelCardOptions card)
    {
        if (card.BaseModel is { } name && !HubName.IsRepo(name))
            throw KoalaException.ForOption(nameof(card.BaseModel), $"is '{MessageText.Text(name)}', which is no name on the hub",
                "write it as org/name");
        if (card.Datasets.FirstOrDefault(name => !HubName.IsRepo(name)) is { } dataset)
            throw KoalaException.ForOption(nameof(card.Datasets), $"has '{MessageText.Text(dataset)}', which is no name on the hub",
                "write it as org/name");
        if (card.Licence is { } licence && !IsLicence(licence))
            throw KoalaException.ForOption(nameof(card.Licence), $"is '{MessageText.Text(licence)}', which is no licence's identifier",
                "write it as the hub does, such as apache-2.0");
    }

    private static bool IsLicence(string text) =>
        text.Length is > 0 and <= 64 && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '.');

    // A JSON string is a YAML string.
    private static string Quoted(string text) => JsonSerializer.Serialize(text, JsonFormat.Line);
}
