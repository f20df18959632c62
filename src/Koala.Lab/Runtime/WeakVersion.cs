using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Koala.Lab.Runtime;

/// <summary>Lets libLibTorchSharp.so load where libstdc++ is older than the one it was linked with.</summary>
/// <remarks>
/// The library asks for GLIBCXX_3.4.32, and the only thing behind that version is a marker symbol that nothing calls. A copy in
/// which the demand carries the weak flag passes the dynamic loader; no system library is replaced and no root is needed.
/// Layouts: the ELF-64 specification and the Linux Standard Base's "Symbol Versioning".
/// </remarks>
internal static class WeakVersion
{
    /// <summary>The version whose absence is harmless.</summary>
    internal const string Name = "GLIBCXX_3.4.32";

    private const uint VersionNeedsSection = 0x6ffffffe;   // SHT_GNU_verneed
    private const ushort WeakFlag = 2;                     // VER_FLG_WEAK

    /// <summary>Path of a copy of <paramref name="library"/> with the weak flag set, made on first use and kept by the original's hash.</summary>
    internal static string MendedCopy(string library)
    {
        var bytes = File.ReadAllBytes(library);
        var hash = Convert.ToHexStringLower(SHA256.HashData(bytes))[..16];
        var copy = Path.Combine(CacheFolder.Path, $"{Path.GetFileNameWithoutExtension(library)}-{hash}.so");
        if (File.Exists(copy)) return copy;
        if (!SetWeak(bytes, Name))
            throw new KoalaException(library, $"the system's libstdc++ lacks {Name} and no such demand was found in the file to make weak",
                "update libstdc++");
        AtomicFile.Write(copy, stream => stream.Write(bytes));
        return copy;
    }

    /// <summary>Sets the weak flag on every demand for <paramref name="version"/>; false if there is none.</summary>
    internal static bool SetWeak(Span<byte> elf, string version)
    {
        if (elf.Length < 64 || !elf[..5].SequenceEqual("\u007fELF\u0002"u8)) return false;
        var sections = (int)BinaryPrimitives.ReadUInt64LittleEndian(elf[0x28..]);
        var size = BinaryPrimitives.ReadUInt16LittleEndian(elf[0x3a..]);
        var count = BinaryPrimitives.ReadUInt16LittleEndian(elf[0x3c..]);
        var found = false;
        for (var i = 0; i < count; i++)
        {
            var header = elf[(sections + i * size)..];
            if (BinaryPrimitives.ReadUInt32LittleEndian(header[4..]) != VersionNeedsSection) continue;
            var link = (int)BinaryPrimitives.ReadUInt32LittleEndian(header[0x28..]);
            var names = (int)BinaryPrimitives.ReadUInt64LittleEndian(elf[(sections + link * size + 0x18)..]);
            found |= SetWeak(elf, (int)BinaryPrimitives.ReadUInt64LittleEndian(header[0x18..]), names, version);
        }
        return found;
    }

    private static bool SetWeak(Span<byte> elf, int need, int names, string version)
    {
        var found = false;
        while (true)
        {
            // Verneed: version u16, count u16, file u32, first aux u32, next u32. Vernaux: hash u32, flags u16, other u16, name u32, next u32.
            var aux = need + (int)BinaryPrimitives.ReadUInt32LittleEndian(elf[(need + 8)..]);
            while (true)
            {
                var name = elf[(names + (int)BinaryPrimitives.ReadUInt32LittleEndian(elf[(aux + 8)..]))..];
                if (Encoding.ASCII.GetString(name[..name.IndexOf((byte)0)]) == version)
                {
                    var flags = BinaryPrimitives.ReadUInt16LittleEndian(elf[(aux + 4)..]);
                    BinaryPrimitives.WriteUInt16LittleEndian(elf[(aux + 4)..], (ushort)(flags | WeakFlag));
                    found = true;
                }
                var nextAux = (int)BinaryPrimitives.ReadUInt32LittleEndian(elf[(aux + 12)..]);
                if (nextAux == 0) break;
                aux += nextAux;
            }
            var next = (int)BinaryPrimitives.ReadUInt32LittleEndian(elf[(need + 12)..]);
            if (next == 0) return found;
            need += next;
        }
    }
}
