#:package Tokenizers.DotNet@1.4.1
#:package Tokenizers.DotNet.runtime.linux-x64@1.4.1
#:property ManagePackageVersionsCentrally=false
#:property PublishAot=false
#:property NoWarn=CS1591

// Records what Hugging Face's own library (tokenizers, in Rust) makes of mixed texts: for each folder FOLDER/NAME/package/models with a
// tokenizer.json, its ids with special tokens added and their text without. Usage: dotnet run docs/tokenizers.cs FOLDER OUT.json
using System.Text.Encodings.Web;
using System.Text.Json;

if (args is not [var folder, var output]) throw new ArgumentException("usage: dotnet run docs/tokenizers.cs FOLDER OUT.json");
var options = new JsonSerializerOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
var recorded = new Dictionary<string, object[]>();
string[] texts = [.. Texts()];
foreach (var kind in Directory.GetDirectories(folder).Order(StringComparer.Ordinal))
{
    var file = Path.Combine(kind, "package", "models", "tokenizer.json");
    if (!File.Exists(file)) continue;
    using var tokenizer = new Tokenizers.DotNet.Tokenizer(file);
    recorded[Path.GetFileName(kind)] = [.. texts.Select(text =>
    {
        var ids = tokenizer.Encode(text);
        return new { text, ids, decoded = tokenizer.Decode(ids) };
    })];
}
File.WriteAllText(output, JsonSerializer.Serialize(recorded, options));
Console.WriteLine($"recorded {texts.Length} texts for {string.Join(", ", recorded.Keys)}");

// Texts that stand for themselves, then words of many languages and kinds with different spaces between them.
static IEnumerable<string> Texts()
{
    string[] whole =
    [
        "", " ", "\n", "a", "Hello, world!", " leading space", "trailing space ", "  two  spaces   three",
        "\t tab\tand\nnewline\n\n\nthree",
        "\r\nWindows\r\nlines\r\n", "def f(x):\n    return {k: v for k, v in x.items() if v != 0}\n", "   \n   \n", "\n\n\n\n\n",
        "<html><body class=\"a\">&amp;</body></html>", "https://example.org/path?q=1&r=%20#frag", "<s>Hello</s> world <s> x", " <s>",
        "<unk>x",
        "▁Hello", "▁ Hello ▁ ", "a▁b", "Ġ", "<0x0A>", "<|im_start|>user\nHi<|im_end|>\n",
        "don't can't we'll I'm you've she'd it's 'quoted'",
        "1234567890 3.14159 1,000,000 2026-11-23", "👩\u200d👩\u200d👧\u200d👦 🇩🇪 ✈️", "wordwordwordwordwordword",
        new('x', 300), new('!', 40),
        "İstanbul ıI", "e\u0301 vs é, ﬁ ligature, ½ ²", "\ufeffbom", "nul\0byte", "\u001b[0m\u007f", new(' ', 33), "🐨🐨🐨🐨🐨🐨🐨🐨",
    ];
    string[] words =
    [
        "the", "The", "of", "naïve", "CAFÉ", "Straße", "привет", "мир", "Москва", "你好", "世界", "日本語", "テスト", "한국어", "안녕하세요", "שלום",
        "مرحبا", "नमस्ते", "हिन्दी", "ไทย", "தமிழ்", "ქართული", "Հայերեն", "Ελλάδα", "zażółć", "gęślą", "jaźń", "đường", "Việt", "x1",
        "3.14",
        "1_000", "42", "007", "0xFF", "e-mail", "foo_bar", "camelCase", "HTTPServer", "don't", "I'll", "we've", "(paren)", "[x]",
        "{y}", "<tag>",
        "</s>", "<|x|>", "a<b", "&&", "||", "!=", "->", "=>", "::", "...", "!!!", "🐨", "😀", "👩‍🚀", "👍🏽", "½", "Ⅷ", "㎏", "n\u0303",
        "\u212b",
        "ｆｕｌｌ", "　", "𝔘𝔫𝔦", "𓀀", "\u200b", "\u00a0", "\u2003", "\u0001", "\u2028", "\ufffd", "▁", "▁▁", "\t", "\n", "\n\n", "\r\n",
        "return",
        "import numpy as np;", "for(int i=0;i<n;++i){", "SELECT * FROM t;", "user@example.org", "10,000.50€", "₹", "∑", "≠", "→",
        "\\frac{a}{b}",
    ];
    string[] spaces = [" ", "  ", "", "\n", " ", "\t", "   ", ", ", ". "];
    foreach (var text in whole) yield return text;
    // A generator of our own, so that the texts stay the same.
    var state = 7u;
    int Next(int limit) => (int)((state = state * 1664525 + 1013904223) >> 8) % limit;
    for (var i = whole.Length; i < 220; i++)
    {
        var text = Next(5) == 0 ? new string(' ', 1 + Next(17)) : "";
        for (var n = 1 + Next(14); n > 0; n--) text += words[Next(words.Length)] + spaces[Next(spaces.Length)];
        yield return text;
    }
}
