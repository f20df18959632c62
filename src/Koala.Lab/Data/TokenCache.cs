using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Text.Chat;
using Koala.Lab.Text.Tokenizers;

namespace Koala.Lab.Data;

/// <summary>Tokenizes a file of conversations once and keeps the packed rows in the cache folder, named by what they were made from.</summary>
public static class TokenCache
{
    /// <summary>The conversations of a file as packed rows.</summary>
    /// <param name="path">A file that <see cref="Conversations.Load"/> reads.</param>
    /// <param name="tokenizer">The target's tokenizer, with a chat template.</param>
    /// <param name="rowLength">Tokens a row, at least 2.</param>
    /// <param name="cancel">Looked at between conversations.</param>
    /// <exception cref="KoalaException">The file has a fault, there is no chat template, the row length is below 2, or the cache cannot be written.</exception>
    public static PackedConversations Load(string path, Tokenizer tokenizer, int rowLength, CancellationToken cancel = default)
    {
        Packing.CheckRowLength(rowLength);
        var hash = HashOf(path, tokenizer, rowLength);
        var file = Path.Combine(CacheFolder.Path, "tokens", $"{hash}.rows");
        // A cache file that is damaged in any way is made again.
        if (ReadIfWhole(file, hash, rowLength) is { } cached) return cached;

        var packed = Make(path, tokenizer, rowLength, hash, cancel);
        AtomicFile.Write(file, stream => PackedFile.Write(stream, packed));
        return packed;
    }

    private static PackedConversations? ReadIfWhole(string file, string hash, int rowLength)
    {
        try
        {
            return File.Exists(file) ? PackedFile.Read(File.ReadAllBytes(file), hash, rowLength) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // As good as damaged; making it again says what is wrong with the folder.
            return null;
        }
    }

    private static PackedConversations Make(string path, Tokenizer tokenizer, int rowLength, string hash, CancellationToken cancel)
    {
        var conversations = Conversations.Load(path);
        var engine = new ConversationTokenizer(tokenizer);
        TokenizedConversation[] tokenized;
        try
        {
            tokenized = [.. conversations.AsParallel().AsOrdered().WithCancellation(cancel).Select(engine.Tokenize)];
        }
        catch (AggregateException e) when (e.InnerExceptions.OfType<KoalaException>().FirstOrDefault() is { } fault)
        {
            throw fault.Within(path, e);
        }
        var (rows, cut) = Packing.Pack(tokenized, rowLength);
        return new PackedConversations(rows, hash, conversations.Count, tokenized.Sum(c => (long)Math.Min(c.Tokens.Length, rowLength)), cut);
    }

    private static string HashOf(string path, Tokenizer tokenizer, int rowLength)
    {
        try
        {
            using var stream = File.OpenRead(path);
            var content = SHA256.HashData(stream);
            // The name decides whether the bytes are taken as gzip.
            var settings = string.Create(CultureInfo.InvariantCulture, $"{PackedFile.Version} {rowLength} {path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase)} {tokenizer.Hash}");
            return Convert.ToHexStringLower(SHA256.HashData([.. content, .. Encoding.UTF8.GetBytes(settings)]));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KoalaException(path, $"cannot be read ({e.Message.TrimEnd('.')})", "check the path and its permissions", e);
        }
    }
}
