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
    /// <summary>The conversations of a file as packed rows.</summary>
    /// <param name="path">A file that <see cref="Conversations.Load"/> reads.</param>
    /// <param name="tokenizer">The target's tokenizer, with a chat template.</param>
    /// <param name="rowLength">The number of tokens per row, at least 2.</param>
    /// <param name="cancel">A token that is checked between conversations.</param>
    /// <exception cref="KoalaException">
    /// The file has a fault, there is no chat template, the row length is below 2, or the cache cannot be written.
    /// </exception>
    public static PackedConversations Load(string path, Tokenizer tokenizer, int rowLength, CancellationToken cancel = default)
    {
        Packing.CheckRowLength(rowLength);
        var hash = HashOf(path, tokenizer, rowLength);
        var folder = Path.Combine(CacheFolder.Path, "tokens");
        AtomicFile.RemoveAbandoned(folder);
        var file = Path.Combine(folder, $"{hash}.rows");
        // A cache file that is damaged in any way is created again.
        if (ReadIfIntact(file, hash, rowLength) is { } cached) return cached;

        var packed = Create(path, tokenizer, rowLength, hash, cancel);
        AtomicFile.Write(file, stream => PackedFile.Write(stream, packed));
        return packed;
    }

    private static PackedConversations? ReadIfIntact(string file, string hash, int rowLength)
    {
        try
        {
            return File.Exists(file) ? PackedFile.Read(File.ReadAllBytes(file), hash, rowLength) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The file counts as damaged; the attempt to create it again reports what is wrong with the folder.
            return null;
        }
    }

    private static PackedConversations Create(
        string path, Tokenizer tokenizer, int rowLength, string hash, CancellationToken cancel)
    {
        var conversations = Conversations.Load(path);
        var conversationTokenizer = new ConversationTokenizer(tokenizer);
        TokenizedConversation[] tokenized;
        try
        {
            var ordered = conversations.AsParallel().AsOrdered().WithCancellation(cancel);
            tokenized = [.. ordered.Select(conversationTokenizer.Tokenize)];
        }
        catch (AggregateException e) when (e.InnerExceptions.OfType<KoalaException>().FirstOrDefault() is { } fault)
        {
            throw fault.Within(path, e);
        }
        var (rows, cut) = Packing.Pack(tokenized, rowLength);
        var tokens = tokenized.Sum(conversation => (long)Math.Min(conversation.Tokens.Length, rowLength));
        return new PackedConversations(rows, hash, conversations.Count, tokens, cut);
    }

    private static string HashOf(string path, Tokenizer tokenizer, int rowLength)
    {
        // The name decides whether the bytes are read as gzip.
        var isGzip = path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase);
        var settings = string.Create(
            CultureInfo.InvariantCulture, $"{PackedFile.Version} {rowLength} {isGzip} {tokenizer.Hash}");
        var content = Convert.FromHexString(InputFile.Sha256(path));
        return Convert.ToHexStringLower(SHA256.HashData([.. content, .. Encoding.UTF8.GetBytes(settings)]));
    }
}
