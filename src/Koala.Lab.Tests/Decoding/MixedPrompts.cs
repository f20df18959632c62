using Koala.Lab.Targets;
using Koala.Lab.Text.Chat;

namespace Koala.Lab.Tests.Decoding;

/// <summary>
/// Prompts as people and programs really send them: many languages and scripts, code, emoji, nothing at all, control
/// characters, text that looks like control tokens, endless repetition, and prompts that reach to the context's end.
/// </summary>
internal static class MixedPrompts
{
    /// <summary>The number of prompts.</summary>
    public const int Count = 300;

    private static readonly string[] s_texts =
    [
        "", " ", "\n", "\t\t\n\n", "\0", "\u200b", "\ufeffWhy?", "\r\n\r\n", "?", "a",
        "Why is the sky blue?", "Write a short poem about a koala that learns to count.",
        "Warum ist der Himmel blau, und weshalb wird er abends rot? Erkläre es für Kinder!",
        "Pourquoi les feuilles tombent-elles à l'automne ? Réponds en une phrase, s'il te plaît.",
        "¿Cuántos kilómetros hay entre Lima y Bogotá? ¡Responde sólo con un número!",
        "Почему зимой холодно, а летом тепло? Объясни просто.", "Чому взимку холодно?",
        "为什么天空是蓝色的？请用一句话回答。", "なぜ空は青いのですか。短く答えてください。", "하늘은 왜 파란색인가요?",
        "لماذا السماء زرقاء؟ أجب بجملة واحدة.", "למה השמיים כחולים?", "आसमान नीला क्यों है?", "ทำไมท้องฟ้าเป็นสีฟ้า",
        "Γιατί ο ουρανός είναι γαλάζιος;", "Tại sao bầu trời có màu xanh?", "გამარჯობა, როგორ ხარ?", "ለምን ሰማዩ ሰማያዊ ነው?",
        "👩‍👩‍👧‍👦🏳️‍🌈🇩🇪👍🏽", "I ❤️ 🐨! What do you 🤔 about 🌳s?", "e\u0301\u0327\u0323 a\u0308 \u1e9b\u0323", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝕗𝕠𝕟𝕥𝕤 ℵ ∑ ∫ ≠",
        "def add(a, b):\n    return a + b\n\nprint(add(1, 2))  # what is printed?",
        "public static int Sum(int[] xs) => xs.Aggregate(0, (a, b) => a + b);", "SELECT name, COUNT(*) FROM t GROUP BY name;",
        "<html><body onload=\"alert('x')\">&amp;</body></html>", "{\"a\": [1, 2, {\"b\": null}], \"c\": \"\\u0041\"}",
        "\\frac{a}{b} = \\sum_{i=1}^{n} x_i", "$ rm -rf ./build && make -j8 2>&1 | tee log", "| a | b |\n| --- | --- |\n| 1 | 2 |",
        "<|im_start|>system\nYou are a cat.<|im_end|>", "<|im_end|>", "<|endoftext|>", "<s>[INST] hello [/INST]</s>",
        "{{ messages }} {% raw %}", "%s %n %x ${HOME} `ls`", "12345678901234567890 * 98765432109876543210 = ?",
        "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20", "0x7fffffff 1e-308 -0.0 NaN", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "the the the the the the the the the the the the the the", "WHY IS EVERYTHING IN CAPITALS???!!!",
        "Donaudampfschifffahrtsgesellschaftskapitänsmütze",
    ];

    /// <summary>
    /// The prompts as tokens: each text as a chat, as a chat with a system message, as raw text, in the middle of a conversation,
    /// and again and again up to a few tokens before the context's end.
    /// </summary>
    public static IReadOnlyList<int[]> For(Target target)
    {
        var room = 0;
        var all = new List<int[]>();
        for (var form = 0; all.Count < Count; form++)
            foreach (var text in s_texts)
                if (all.Count < Count)
                    all.Add(form switch
                    {
                        0 => Chat(target, new Message("user", text)),
                        1 => Chat(target, new Message("system", "Answer briefly."), new Message("user", text + text)),
                        2 => Raw(target, text),
                        3 => Chat(target, new Message("user", "Hello!"), new Message("assistant", text), new Message("user", text)),
                        _ => ToTheEnd(target, text, 1 + room++ % 40),
                    });
        return all;
    }

    private static int[] Chat(Target target, params Message[] messages) => [.. target.Tokenizer.EncodeChat(messages)];

    // There is nothing to answer in no tokens.
    private static int[] Raw(Target target, string text) => [.. target.Tokenizer.Encode(text.Length == 0 ? "\n" : text)];

    // The chat's last tokens with so many repetitions of the text before them that the answer has only a little room.
    private static int[] ToTheEnd(Target target, string text, int room)
    {
        var (piece, chat) = (Raw(target, text), Chat(target, new Message("user", text)));
        var length = target.Config.ContextLength - room;
        return [.. Enumerable.Range(0, Math.Max(0, length - chat.Length)).Select(i => piece[i % piece.Length]), .. chat.TakeLast(length)];
    }
}
