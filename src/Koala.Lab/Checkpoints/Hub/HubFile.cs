using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Koala.Lab.Checkpoints.Hub;

/// <summary>A file as the hub lists it.</summary>
/// <param name="Name">Its path inside the repository.</param>
/// <param name="Size">Bytes.</param>
/// <param name="Hash">Lower-case hex: SHA-256 (64 digits) of files in git LFS, git's blob SHA-1 (40 digits) of the others. The cache's blob has this name.</param>
internal sealed record HubFile(string Name, long Size, string Hash)
{
    /// <summary>The hash of this file's kind, before its first byte.</summary>
    public IncrementalHash NewHash()
    {
        if (Hash.Length == 64) return IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        // git hashes a blob with its length in front.
        var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA1);
        hash.AppendData(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"blob {Size}\0")));
        return hash;
    }
}
