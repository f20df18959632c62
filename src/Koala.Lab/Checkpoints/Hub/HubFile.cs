using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Koala.Lab.Checkpoints.Hub;

/// <summary>A file, as the hub lists it.</summary>
/// <param name="Name">Its path in the repository.</param>
/// <param name="Size">Its length in bytes.</param>
/// <param name="Hash">
/// Its hash in lower-case hex digits: SHA-256 (64 digits) for a file in git LFS, git's blob SHA-1 (40 digits) for any other. The blob
/// in the cache has this name.
/// </param>
internal sealed record HubFile(string Name, long Size, string Hash)
{
    /// <summary>Creates a hash of this file's kind, to which the file's bytes are then appended.</summary>
    public IncrementalHash NewHash()
    {
        if (Hash.Length == 64) return IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        // git hashes a blob's length before its bytes.
        var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA1);
        hash.AppendData(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"blob {Size}\0")));
        return hash;
    }
}
