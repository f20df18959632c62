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

    // The names that transformers uses; a chat template can refer to these tokens.
    private static readonly string[] s_roles =
        ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

    /// <exception cref="KoalaException">
    /// A file is missing or damaged, or needs something that byte-level BPE does not have.
    /// </exception>
    public static Tokenizer Read(string folder)
    {
        var path = Path.Combine(folder, "tokenizer.json");
        if (!File.Exists(path)) throw new KoalaException(path, "is missing", "put the model's tokenizer.json there");
        var bytes = JsonFile.Read(path, LongestFile);
        var root = new JsonSection(JsonFile.Parse(bytes, path), path);
        var template = ReadTemplate(folder);
        var (vocabulary, merges, ignoreMerges) = ModelSection.Read(root.Section("model"));
        CheckDecoder(root);
        var (before, after) = PostProcessorSection.Read(root);
        byte[] content = [.. SHA256.HashData(bytes), .. Encoding.UTF8.GetBytes(template?.Identity ?? "")];
        return new Tokenizer(new TokenizerParts
        {
            Source = path,
            Vocabulary = vocabulary,
            Merges = merges,
            IgnoreMerges = ignoreMerges,
            Compose = Composes(root),
            PreTokenizer = PreTokenizerSection.Read(root, path),
            AddedTokens = ModelSection.AddedTokens(root),
            Before = before,
            After = after,
            ChatTemplate = template,
            Hash = Convert.ToHexStringLower(SHA256.HashData(content)),
        });
    }

    private static bool Composes(JsonSection root)
    {
        if (root.OptionalSection("normalizer") is not { } normalizer) return false;
        var type = normalizer.Text("type");
        return type == "NFC" ? true : throw normalizer.Unsupported("type", type);
    }

    private static void CheckDecoder(JsonSection root)
    {
        var decoder = root.Section("decoder");
        if (decoder.Text("type") is var type && type != "ByteLevel") throw decoder.Unsupported("type", type);
    }

    private static ChatTemplate? ReadTemplate(string folder)
    {
        var config = Optional(folder, "tokenizer_config.json");
        var map = Optional(folder, "special_tokens_map.json");
        var file = Path.Combine(folder, "chat_template.jinja");
        var hasFile = File.Exists(file);
        var where = hasFile ? file : Path.Combine(folder, "tokenizer_config.json") + ": chat_template";
        var text = hasFile ? ReadText(file) : config is null ? null : TemplateIn(config);
        if (text is null) return null;

        var tokens = new Dictionary<string, string>();
        foreach (var role in s_roles)
            if ((TokenOf(config, role) ?? TokenOf(map, role)) is { } token) tokens[role] = token;
        return new ChatTemplate(text, tokens, where);
    }

    // The file has one template, or several by name.
    private static string? TemplateIn(JsonSection config)
    {
        var isList = config.Find("chat_template") is { ValueKind: JsonValueKind.Array };
        if (!isList) return config.OptionalText("chat_template");
        var named = config.Items("chat_template").ToDictionary(t => t.Text("name"), t => t.Text("template"));
        return named.GetValueOrDefault("default")
            ?? throw config.Fault("chat_template", "has no template named 'default'", "give one of them that name");
    }

    private static string? TokenOf(JsonSection? file, string role) =>
        file?.Find(role) is { ValueKind: JsonValueKind.Object } ? file.Section(role).Text("content") : file?.OptionalText(role);

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
