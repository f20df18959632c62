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

    private static readonly string[] s_otherFiles = ["vocab.json", "merges.txt", "vocab.txt", "spiece.model"];

    /// <exception cref="KoalaException">
    /// A file is missing or damaged, or needs something that Koala does not have.
    /// </exception>
    public static Tokenizer Read(string folder)
    {
        var path = Path.Combine(folder, "tokenizer.json");
        var model = Path.Combine(folder, SentencePieceFile.FileName);
        var config = Optional(folder, "tokenizer_config.json");
        if (File.Exists(path)) return ReadJson(folder, path, config);
        return File.Exists(model) ? ReadSentencePieces(folder, model, config) : throw Missing(folder, path);
    }

    private static Tokenizer ReadJson(string folder, string path, JsonSection? config)
    {
        var bytes = JsonFile.Read(path, LongestFile);
        var root = new JsonSection(JsonFile.Parse(bytes, path), path);
        var (preTokenizer, isByteLevel) = PreTokenizerSection.Read(root, path);
        var spelling = DecoderSection.Read(root);
        if (spelling.IsByteLevel != isByteLevel)
            throw root.Fault(isByteLevel ? "decoder" : "pre_tokenizer", "does not contain ByteLevel, but "
                + (isByteLevel ? "pre_tokenizer ends in it" : "decoder contains it"), "get the file again");
        var (vocabulary, encoder) = ModelSection.Read(root.Section("model"), path, isByteLevel);
        var (before, after) = PostProcessorSection.Read(root);
        return Make(folder, bytes, config, ModelSection.AddedTokens(root), new TokenizerParts
        {
            Source = path,
            Vocabulary = vocabulary,
            Spelling = spelling,
            Encoder = encoder,
            Normalizer = NormalizerSection.Read(root),
            PreTokenizer = preTokenizer,
            Before = before,
            After = after,
            Hash = "",
        });
    }

    // The rules beside the model are those of LlamaTokenizer in transformers.
    private static Tokenizer ReadSentencePieces(string folder, string path, JsonSection? config)
    {
        var bytes = JsonFile.Read(path, LongestFile);
        var pieces = SentencePieceFile.Read(bytes, path);
        // With the newer rule only the beginning of a text gets a space, not what follows an added token.
        if (config?.OptionalBoolean("add_prefix_space") == false) pieces = pieces with { Prefix = _ => false };
        else if (config?.OptionalBoolean("legacy") == false && pieces.Prefix(TextPosition.Start))
            pieces = pieces with { Prefix = position => position == TextPosition.Start };
        var vocabulary = new Dictionary<string, int>();
        for (var id = 0; id < pieces.Pieces.Count; id++)
            if (pieces.Pieces[id].Kind != PieceKind.Unused && !vocabulary.TryAdd(pieces.Pieces[id].Text, id))
                throw new KoalaException(path, $"has the piece '{MessageText.Text(pieces.Pieces[id].Text)}' twice", "get the file again");
        int[] IdsIf(string key, bool standard, string role, string common)
        {
            if (!(config?.Boolean(key, standard) ?? standard)) return [];
            var token = FolderTokens.Roles(config, null).GetValueOrDefault(role, common);
            return vocabulary.TryGetValue(token, out var id) ? [id] : [];
        }
        return Make(folder, bytes, config, [.. pieces.AddedTokens(areNormalized: true)], new TokenizerParts
        {
            Source = path,
            Vocabulary = vocabulary,
            Spelling = pieces.Spelling,
            Encoder = pieces.Encoder,
            Normalizer = pieces.Normalizer,
            NormalizesAddedTokens = false,
            PreTokenizer = new PreTokenizer([], path),
            Before = IdsIf("add_bos_token", true, "bos_token", "<s>"),
            After = IdsIf("add_eos_token", false, "eos_token", "</s>"),
            Hash = "",
        });
    }

    // Adds what the folder's other files say.
    private static Tokenizer Make(string folder, byte[] bytes, JsonSection? config, List<AddedToken> own, TokenizerParts parts)
    {
        var map = Optional(folder, "special_tokens_map.json");
        var template = ReadTemplate(folder, config, map);
        var added = FolderTokens.Read(parts.Vocabulary, own, config, Optional(folder, "added_tokens.json"), map);
        // The file's own tokens are among its bytes.
        var others = string.Concat(added.Except(own).Select(token => $"\n{token}"));
        byte[] content = [.. SHA256.HashData(bytes), .. Encoding.UTF8.GetBytes((template?.Identity ?? "") + others)];
        return new Tokenizer(parts with
        {
            AddedTokens = added,
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
