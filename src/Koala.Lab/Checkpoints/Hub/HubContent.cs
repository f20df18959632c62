using System.Security.Cryptography;
using System.Text;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Checkpoints.Hub;

/// <summary>A file that is to be in a repository: one on this disk, or a text.</summary>
public sealed class HubContent
{
    private const int SampleLength = 512;
    private readonly Func<Stream> _open;

    private HubContent(string name, Func<Stream> open)
    {
        if (!HubName.IsFile(name))
            throw new KoalaException(MessageText.Text(name), "is no name of a file in a repository", "rename the file");
        (Name, _open) = (name, open);
    }

    /// <summary>Its path in the repository.</summary>
    public string Name { get; }

    /// <summary>Creates the content from a file.</summary>
    /// <param name="name">Its path in the repository.</param>
    /// <param name="path">The file.</param>
    /// <exception cref="KoalaException">The name cannot be one in a repository.</exception>
    public static HubContent OfFile(string name, string path) => new(name, () => InputFile.Open(path));

    /// <summary>Creates the content from a text, which is stored in UTF-8.</summary>
    /// <param name="name">Its path in the repository.</param>
    /// <param name="text">The text.</param>
    /// <exception cref="KoalaException">The name cannot be one in a repository.</exception>
    public static HubContent OfText(string name, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        return new HubContent(name, () => new MemoryStream(bytes, writable: false));
    }

    /// <summary>Reads a text in UTF-8.</summary>
    /// <exception cref="KoalaException">The file cannot be read.</exception>
    public string ReadText()
    {
        using var reader = new StreamReader(Open());
        return reader.ReadToEnd();
    }

    /// <summary>Opens the content for reading.</summary>
    /// <exception cref="KoalaException">The file cannot be read.</exception>
    internal Stream Open() => _open();

    /// <summary>Reads all of it once.</summary>
    /// <exception cref="KoalaException">The file cannot be read.</exception>
    internal HashedContent Hash(CancellationToken cancel)
    {
        using var stream = Open();
        using var large = new HubFile(Name, stream.Length, new string('0', 64)).NewHash();
        using var small = new HubFile(Name, stream.Length, new string('0', 40)).NewHash();
        var sample = new byte[(int)Math.Min(SampleLength, stream.Length)];
        stream.ReadExactly(sample);
        stream.Position = 0;
        var buffer = new byte[1 << 20];
        while (stream.Read(buffer) is > 0 and var count)
        {
            cancel.ThrowIfCancellationRequested();
            large.AppendData(buffer, 0, count);
            small.AppendData(buffer, 0, count);
        }
        return new HashedContent(this, stream.Length, HashOf(large), HashOf(small), sample);
    }

    private static string HashOf(IncrementalHash hash) => Convert.ToHexStringLower(hash.GetHashAndReset());
}

/// <summary>A file with what the hub wants to know of it before it is sent.</summary>
/// <param name="Content">The file.</param>
/// <param name="Size">Its length in bytes.</param>
/// <param name="Sha256">Its SHA-256, in lower-case hex digits: its name in git LFS.</param>
/// <param name="BlobHash">git's blob SHA-1, in lower-case hex digits.</param>
/// <param name="Sample">Its first bytes, by which the hub tells texts from other files.</param>
internal sealed record HashedContent(HubContent Content, long Size, string Sha256, string BlobHash, byte[] Sample)
{
    public string Name => Content.Name;

    /// <summary>Whether the hub has exactly this file.</summary>
    public bool Is(HubFile file) => file.Name == Name && file.Size == Size && file.Hash is var hash && (hash == Sha256 || hash == BlobHash);
}
