using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Runtime.Native;

/// <summary>Lets libLibTorchSharp.so load on systems whose libstdc++ is older than the one it was linked with.</summary>
/// <remarks>
/// The library requires GLIBCXX_3.4.32, but the only symbol of that version is a marker that nothing calls. The dynamic loader
/// accepts a copy in which this requirement has the weak flag; no system library is replaced and no root access is needed.
/// The layouts are those of the ELF-64 specification and of "Symbol Versioning" in the Linux Standard Base.
/// </remarks>
internal static class WeakVersion
{
    /// <summary>The version whose absence is harmless.</summary>
    internal const string Name = "GLIBCXX_3.4.32";

    private const uint VersionNeedsSection = 0x6ffffffe;   // SHT_GNU_verneed
    private const ushort WeakFlag = 2;                     // VER_FLG_WEAK
    private const int EntrySize = 16;                      // the size of a Verneed and of a Vernaux

    /// <summary>
    /// Returns the path of a copy of <paramref name="library"/> with the weak flag set. The copy is created on first use and named by
    /// the hash of the original.
    /// </summary>
    /// <exception cref="KoalaException">The file is damaged or has no such requirement, or the cache cannot be written.</exception>
    internal static string PatchedCopy(string library)
    {
        var bytes = Read(library);
        var hash = Convert.ToHexStringLower(SHA256.HashData(bytes))[..16];
        var copy = Path.Combine(CacheFolder.Path, $"{Path.GetFileNameWithoutExtension(library)}-{hash}.so");
        if (File.Exists(copy)) return copy;
        if (!SetWeak(library, bytes, Name))
            throw new KoalaException(library,
                $"the system's libstdc++ lacks {Name}, and Koala found no requirement of it in the file to make weak", "update libstdc++");
        AtomicFile.Write(copy, stream => stream.Write(bytes));
        return copy;
    }

    private static byte[] Read(string library)
    {
        try
        {
            return File.ReadAllBytes(library);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KoalaException(library, $"cannot be read ({e.Message.TrimEnd('.')})", "make the file readable", e);
        }
    }

    /// <summary>Sets the weak flag on every requirement of <paramref name="version"/>; false if there is none.</summary>
    /// <exception cref="KoalaException">An offset in the file points outside it, or a chain has no end.</exception>
    internal static bool SetWeak(string library, Span<byte> elf, string version)
    {
        if (elf.Length < 64 || !elf[..5].SequenceEqual("\u007fELF\u0002"u8)) return false;
        var sections = BinaryPrimitives.ReadUInt64LittleEndian(elf[0x28..]);
        var size = BinaryPrimitives.ReadUInt16LittleEndian(elf[0x3a..]);
        var count = BinaryPrimitives.ReadUInt16LittleEndian(elf[0x3c..]);
        var found = false;
        for (var i = 0; i < count; i++)
        {
            var header = Part(library, elf, sections, (ulong)(i * size), 0x40);
            if (BinaryPrimitives.ReadUInt32LittleEndian(header[4..]) != VersionNeedsSection) continue;
            var link = BinaryPrimitives.ReadUInt32LittleEndian(header[0x28..]);
            var strings = Part(library, elf, sections, (ulong)link * size, 0x40);
            var names = BinaryPrimitives.ReadUInt64LittleEndian(strings[0x18..]);
            found |= SetWeak(library, elf, BinaryPrimitives.ReadUInt64LittleEndian(header[0x18..]), names, version);
        }
        return found;
    }

    private static bool SetWeak(string library, Span<byte> elf, ulong need, ulong names, string version)
    {
        var found = false;
        // Entries do not overlap, so a file has room for only this many; a chain that visits more of them is damaged.
        var left = elf.Length / EntrySize;
        while (true)
        {
            // Verneed: version u16, count u16, file u32, first aux u32, next u32.
            // Vernaux: hash u32, flags u16, other u16, name u32, next u32.
            var needEntry = Part(library, elf, need, 0, EntrySize);
            var auxOffset = need + BinaryPrimitives.ReadUInt32LittleEndian(needEntry[8..]);
            while (true)
            {
                var aux = Part(library, elf, auxOffset, 0, EntrySize);
                if (NameIs(library, elf, names, BinaryPrimitives.ReadUInt32LittleEndian(aux[8..]), version))
                {
                    var flags = BinaryPrimitives.ReadUInt16LittleEndian(aux[4..]);
                    BinaryPrimitives.WriteUInt16LittleEndian(aux[4..], (ushort)(flags | WeakFlag));
                    found = true;
                }
                var nextAux = BinaryPrimitives.ReadUInt32LittleEndian(aux[12..]);
                if (nextAux == 0) break;
                if (left-- == 0) throw Damaged(library, "a chain of version requirements has no end");
                auxOffset += nextAux;
            }
            var next = BinaryPrimitives.ReadUInt32LittleEndian(needEntry[12..]);
            if (next == 0) return found;
            if (left-- == 0) throw Damaged(library, "a chain of version requirements has no end");
            need += next;
        }
    }

    /// <summary>Whether the string at an offset in the string table is <paramref name="version"/>, including the final zero byte.</summary>
    private static bool NameIs(string library, Span<byte> elf, ulong names, ulong offset, string version)
    {
        var name = Part(library, elf, names, offset, 1);
        var start = elf.Length - name.Length;
        var length = version.Length;
        return elf.Length - start > length && elf[start + length] == 0
            && Encoding.ASCII.GetString(elf.Slice(start, length)) == version;
    }

    /// <summary>The part of the file that begins at the sum of two offsets; it has at least <paramref name="length"/> bytes.</summary>
    private static Span<byte> Part(string library, Span<byte> elf, ulong offset, ulong relative, int length)
    {
        var start = offset + relative;
        var end = start + (ulong)length;
        // Sums of 64-bit offsets wrap around; a sum that is smaller than its term did.
        if (start < offset || end < start || end > (ulong)elf.Length)
            throw Damaged(library, $"an offset of {start} bytes points outside its {elf.Length} bytes");
        return elf[(int)start..];
    }

    private static KoalaException Damaged(string library, string reason) =>
        new(library, $"is a damaged library ({reason})",
            "delete it from the package cache and run `dotnet restore --force` in the project");
}
