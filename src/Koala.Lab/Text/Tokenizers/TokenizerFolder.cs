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

    // As transformers names them; these are what a chat template can ask for.
    private static readonly string[] s_roles = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

    /// <exception cref="KoalaException">A file is missing or damaged, or asks for what byte-level BPE has not.</exception>
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
            Hash = Convert.ToHexStringLower(SHA256.HashData([.. SHA256.HashData(bytes), .. Encoding.UTF8.GetBytes(template?.Identity ?? "")])),
        });
    }

    private static bool Composes(JsonSection root) => root.OptionalSection("normalizer") switch
    {
        null => false,
        { } normalizer => normalizer.Text("type") switch { "NFC" => true, var type => throw normalizer.Unsupported("type", type) },
    };

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
        string? text;
        string where;
        if (File.Exists(file)) (text, where) = (ReadText(file), file);
        else (text, where) = (config is null ? null : TemplateIn(config), Path.Combine(folder, "tokenizer_config.json") + ": chat_template");
        if (text is null) return null;

        var tokens = new Dictionary<string, string>();
        foreach (var role in s_roles)
            if ((Spelled(config, role) ?? Spelled(map, role)) is { } spelled) tokens[role] = spelled;
        return new ChatTemplate(text, tokens, where);
    }

    // One template, or several by name.
    private static string? TemplateIn(JsonSection config)
    {
        if (config.Find("chat_template") is not { ValueKind: JsonValueKind.Array }) return config.OptionalText("chat_template");
        var named = config.Items("chat_template").ToDictionary(t => t.Text("name"), t => t.Text("template"));
        return named.GetValueOrDefault("default") ?? throw config.Fault("chat_template", "has no template named 'default'", "name one so");
    }

    private static string? Spelled(JsonSection? file, string role) =>
        file?.Find(role) is { ValueKind: JsonValueKind.Object } ? file.Section(role).Text("content") : file?.OptionalText(role);

    private static JsonSection? Optional(string folder, string name)
    {
        var path = Path.Combine(folder, name);
        return File.Exists(path) ? new JsonSection(JsonFile.Parse(JsonFile.Read(path, LongestFile), path), path) : null;
    }

    private static string ReadText(string path)
    {
        var bytes = JsonFile.Read(path, LongestFile);
        return System.Text.Unicode.Utf8.IsValid(bytes) ? Encoding.UTF8.GetString(bytes) : throw new KoalaException(path, "is not valid UTF-8", "get the file again");
    }
}
