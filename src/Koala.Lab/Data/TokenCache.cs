using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Text.Chat;
using Koala.Lab.Text.Tokenizers;

namespace Koala.Lab.Data;

/// <summary>
/// Tokenizes a file of conversations once and keeps the packed rows in the cache folder, under the hash of what they
/// were made from.
/// </summary>
internal static class TokenCache
{
    private const int ChatsAtOnce = 4096;

    /// <summary>The conversations of a file as packed rows.</summary>
    /// <param name="path">A file that <see cref="Conversations.Load"/> reads.</param>
    /// <param name="tokenizer">The target's tokenizer, with a chat template.</param>
    /// <param name="rowLength">The number of tokens per row, at least 2; null means a number that fits the conversations.</param>
    /// <param name="longestRow">The largest number of tokens per row that is chosen.</param>
    /// <param name="cancel">A token that is checked between conversations.</param>
    /// <exception cref="KoalaException">
    /// The file has a fault, no chat can be used, there is no chat template, the row length is below 2, or the cache
    /// cannot be written.
    /// </exception>
    public static PackedConversations Load(
        string path, Tokenizer tokenizer, int? rowLength, int longestRow = int.MaxValue, CancellationToken cancel = default)
    {
        AtomicFile.RemoveAbandoned(Folder);
        if (rowLength is { } given) Packing.CheckRowLength(given);
        var content = HashOf(path);
        var tokenized = new Lazy<TokenizedFile>(() => Tokenize(path, tokenizer, cancel));
        var length = rowLength ?? Math.Min(longestRow, FittingLength(path, content, tokenizer, tokenized));
        var hash = HashOf(content, string.Create(
            CultureInfo.InvariantCulture, $"{PackedFile.Version} {length} {IsGzip(path)} {tokenizer.Hash}"));
        var file = CacheFile($"{hash}.{PackedFile.Format}.rows");
        // A cache file that is damaged in any way is created again.
        if (ReadIfIntact(file) is { } bytes && PackedFile.Read(bytes, hash, length) is { } cached) return cached;

        var packed = tokenized.Value.Pack(length, hash);
        AtomicFile.Write(file, stream => PackedFile.Write(stream, packed));
        return packed;
    }

    private static int FittingLength(string path, byte[] content, Tokenizer tokenizer, Lazy<TokenizedFile> tokenized)
    {
        var file = CacheFile($"{HashOf(content, $"{PackedFile.Version} {IsGzip(path)} {tokenizer.Hash}")}.length");
        if (ReadIfIntact(file) is { } bytes && int.TryParse(bytes, CultureInfo.InvariantCulture, out var known) && known > 0)
            return known;
        var length = RowLengths.Choose([.. tokenized.Value.Conversations.SelectMany(c => c).Select(c => c.Tokens.Length)]);
        AtomicFile.WriteText(file, length.ToString(CultureInfo.InvariantCulture));
        return length;
    }

    private static byte[]? ReadIfIntact(string file)
    {
        try
        {
            return File.Exists(file) ? File.ReadAllBytes(file) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The file counts as damaged; the attempt to create it again reports what is wrong with the folder.
            return null;
        }
    }

    private static TokenizedFile Tokenize(string path, Tokenizer tokenizer, CancellationToken cancel)
    {
        var unusable = new UnusableChats();
        var conversationTokenizer = new ConversationTokenizer(tokenizer);
        try
        {
            var usable = new List<IReadOnlyList<TokenizedConversation>>();
            // Of the texts only some are in memory at a time.
            foreach (var chats in Conversations.Stream(path, unusable).Chunk(ChatsAtOnce))
            {
                var ordered = chats.AsParallel().AsOrdered().WithCancellation(cancel);
                foreach (var (line, (sequences, refusal)) in ordered.Select(chat => (chat.Line, conversationTokenizer.TryTokenize(chat))))
                    if (refusal is null) usable.Add(sequences);
                    else unusable.Add(new UnusableChat(line, refusal));
            }
            return usable.Count > 0 ? new TokenizedFile(usable, unusable) : throw AllUnusable(path, unusable.First[0]);
        }
        catch (AggregateException e) when (e.InnerExceptions.OfType<KoalaException>().FirstOrDefault() is { } fault)
        {
            throw fault.Within(path, e);
        }
    }

    private static KoalaException AllUnusable(string path, UnusableChat first) => new($"{path}:{first.Line}",
        $"{first.Fault.Fault}; no chat of the file can be used", first.Fault.Fix, first.Fault);

    private static string Folder => Path.Combine(CacheFolder.Path, "tokens");

    private static string CacheFile(string name) => Path.Combine(Folder, name);

    // The name decides whether the bytes are read as gzip.
    private static bool IsGzip(string path) => path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase);

    private static string HashOf(byte[] content, string settings) =>
        Convert.ToHexStringLower(SHA256.HashData([.. content, .. Encoding.UTF8.GetBytes(settings)]));

    private static byte[] HashOf(string path) => Convert.FromHexString(DatasetFolder.Sha256(path));

    // The conversations of a file, each as one or several sequences, and the chats that were left out.
    private sealed record TokenizedFile(
        IReadOnlyList<IReadOnlyList<TokenizedConversation>> Conversations, UnusableChats Unusable)
    {
        public PackedConversations Pack(int rowLength, string hash)
        {
            TokenizedConversation[] sequences = [.. Conversations.SelectMany(c => c)];
            var tokens = sequences.Sum(sequence => (long)Math.Min(sequence.Tokens.Length, rowLength));
            var cut = Conversations.Count(c => c.Any(sequence => sequence.Tokens.Length > rowLength));
            var named = Unusable.First.Select(chat => $"line {chat.Line} {chat.Fault.Fault}");
            return new PackedConversations(Packing.Pack(sequences, rowLength), hash, Conversations.Count, tokens, cut,
                Unusable.Count, string.Join("; ", named));
        }
    }
}
