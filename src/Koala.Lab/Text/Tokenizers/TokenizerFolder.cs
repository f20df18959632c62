using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Koala.Lab.Checkpoints;
using Koala.Lab.Text.Chat;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>Reads the tokenizer of a Hugging Face folder.</summary>
internal static class TokenizerFolder
{
    private const long LongestFile = 256L << 20;

    private static readonly string[] s_otherFiles = ["tokenizer.model", "vocab.json", "merges.txt", "vocab.txt", "spiece.model"];

    /// <exception cref="KoalaException">
    /// A file is missing or damaged, or needs something that byte-level BPE does not have.
    /// </exception>
    public static Tokenizer Read(string folder)
    {
        var path = Path.Combine(folder, "tokenizer.json");
        if (!File.Exists(path)) throw Missing(folder, path);
        var bytes = JsonFile.Read(path, LongestFile);
        var root = new JsonSection(JsonFile.Parse(bytes, path), path);
        var config = Optional(folder, "tokenizer_config.json");
        var map = Optional(folder, "special_tokens_map.json");
        var template = ReadTemplate(folder, config, map);
        var (vocabulary, merges, ignoreMerges) = ModelSection.Read(root.Section("model"));
        DecoderSection.Check(root);
        var (before, after) = PostProcessorSection.Read(root);
        var own = ModelSection.AddedTokens(root);
        var added = FolderTokens.Read(vocabulary, own, config, Optional(folder, "added_tokens.json"), map);
        // The file's own tokens are among its bytes.
        var others = string.Concat(added.Except(own).Select(token => $"\n{token}"));
        byte[] content = [.. SHA256.HashData(bytes), .. Encoding.UTF8.GetBytes((template?.Identity ?? "") + others)];
        return new Tokenizer(new TokenizerParts
        {
            Source = path,
            Vocabulary = vocabulary,
            Merges = merges,
            IgnoreMerges = ignoreMerges,
            Normalizer = NormalizerSection.Read(root),
            PreTokenizer = PreTokenizerSection.Read(root, path),
            AddedTokens = added,
            Before = before,
            After = after,
            ChatTemplate = template,
            Hash = Convert.ToHexStringLower(SHA256.HashData(content)),
        });
    }

    private static KoalaException Missing(string folder, string path)
    {
        // What older models have in its place, and what reads it.
        var other = s_otherFiles.FirstOrDefault(name => File.Exists(Path.Combine(folder, name)));
        return other is null
            ? new KoalaException(path, "is missing", "put the model's tokenizer.json there")
            : new KoalaException(path, $"is missing; the folder has {other}, which Koala does not read",
                "make it with transformers: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)");
    }

    private static ChatTemplate? ReadTemplate(string folder, JsonSection? config, JsonSection? map)
    {
        var file = Path.Combine(folder, "chat_template.jinja");
        var hasFile = File.Exists(file);
        var where = hasFile ? file : Path.Combine(folder, "tokenizer_config.json") + ": chat_template";
        var text = hasFile ? ReadText(file) : config is null ? null : TemplateIn(config);
        return text is null ? null : new ChatTemplate(text, FolderTokens.Roles(config, map), where);
    }

    // The file has one template, or several by name.
    private static string? TemplateIn(JsonSection config)
    {
        var isList = config.Find("chat_template") is { ValueKind: JsonValueKind.Array };
        if (!isList) return config.OptionalText("chat_template");
        var templates = config.Items("chat_template");
        return templates.LastOrDefault(template => template.Text("name") == "default")?.Text("template")
            ?? throw config.Fault("chat_template", "has no template named 'default'", "give one of them that name");
    }

    private static JsonSection? Optional(string folder, string name)
    {
        var path = Path.Combine(folder, name);
        return File.Exists(path) ? new JsonSection(JsonFile.Parse(JsonFile.Read(path, LongestFile), path), path) : null;
    }

    private static string ReadText(string path)
    {
        var bytes = JsonFile.Read(path, LongestFile);
        return System.Text.Unicode.Utf8.IsValid(bytes)
            ? Encoding.UTF8.GetString(bytes)
            : throw new KoalaException(path, "is not valid UTF-8", "get the file again");
    }
}
