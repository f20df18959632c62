using System.Buffers.Binary;
using CsCheck;
using Koala.Lab.Runtime.Native;

namespace Koala.Lab.Tests.Runtime;

public sealed class WeakVersionTests
{
    private const int Sections = 0x40, Needs = 0x100, Strings = 0x160, Length = 0x180;
    private const int WrongFlags = Needs + 16 + 4, RightFlags = Needs + 32 + 4;

    [Fact]
    public void Sets_the_weak_flag_of_the_named_version_only()
    {
        var elf = Library();
        Assert.True(WeakVersion.SetWeak("lib.so", elf, WeakVersion.Name));
        Assert.Equal(0, BinaryPrimitives.ReadUInt16LittleEndian(elf.AsSpan(WrongFlags)));
        Assert.Equal(2, BinaryPrimitives.ReadUInt16LittleEndian(elf.AsSpan(RightFlags)));
    }

    [Fact]
    public void Changes_nothing_where_the_version_is_not_demanded()
    {
        var elf = Library();
        Assert.False(WeakVersion.SetWeak("lib.so", elf, "GLIBCXX_3.4.99"));
        Assert.Equal(Library(), elf);
    }

    [Fact]
    public void What_is_no_64_bit_library_has_no_demand()
    {
        Assert.False(WeakVersion.SetWeak("lib.so", [], WeakVersion.Name));
        Assert.False(WeakVersion.SetWeak("lib.so", new byte[100], WeakVersion.Name));
    }

    [Theory]
    [InlineData(0x28, 8)]                   // the section table
    [InlineData(Sections + 0x18, 8)]        // the demands
    [InlineData(Sections + 0x28, 4)]        // the section of their names
    [InlineData(Sections + 0x40 + 0x18, 8)] // the names
    [InlineData(Needs + 8, 4)]              // the first entry
    [InlineData(Needs + 16 + 8, 4)]         // a name
    [InlineData(Needs + 16 + 12, 4)]        // the next entry
    public void An_offset_outside_the_file_is_one_error(int at, int width)
    {
        foreach (var last in new byte[] { 0x7f, 0xff })
        {
            var elf = Library();
            elf.AsSpan(at, width).Fill(0xff);
            elf[at + width - 1] = last;
            var e = Assert.Throws<KoalaException>(() => WeakVersion.SetWeak("lib.so", elf, WeakVersion.Name));
            Assert.Equal("lib.so", e.Where);
        }
    }

    [Fact]
    public void A_chain_without_an_end_within_reason_is_one_error()
    {
        // The entries overlap, one byte apart: a chain as long as the file, through every section that states it.
        var elf = Library();
        elf.AsSpan(Needs).Clear();
        var e = Record.Exception(() =>
        {
            for (var i = Needs; i + 4 < elf.Length; i++) BinaryPrimitives.WriteUInt32LittleEndian(elf.AsSpan(i), 1);
            WeakVersion.SetWeak("lib.so", elf, WeakVersion.Name);
        });
        Assert.IsType<KoalaException>(e);
    }

    [Fact]
    public void Every_truncation_ends_in_an_answer_or_one_error()
    {
        for (var length = 0; length < Length; length++) Survives(Library()[..length]);
    }

    [Fact]
    public void Every_damaged_byte_ends_in_an_answer_or_one_error() =>
        Gen.Select(Gen.Int[0, Length - 1], Gen.Byte).Array[1, 8].Sample(changes =>
        {
            var elf = Library();
            foreach (var (at, value) in changes) elf[at] = value;
            Survives(elf);
        }, iter: 5000);

    [Fact]
    public void A_library_that_cannot_be_read_is_one_error()
    {
        using var folder = new TemporaryFolder();
        Assert.Throws<KoalaException>(() => WeakVersion.PatchedCopy(folder.At("none.so")));
    }

    private static void Survives(byte[] elf)
    {
        if (Record.Exception(() => WeakVersion.SetWeak("lib.so", elf, WeakVersion.Name)) is { } e)
            Assert.IsType<KoalaException>(e);
    }

    /// <summary>
    /// The smallest library that demands two versions: a header, two section headers, a Verneed with two Vernaux, and
    /// names.
    /// </summary>
    private static byte[] Library()
    {
        var elf = new byte[Length];
        "\u007fELF\u0002"u8.CopyTo(elf);
        U64(0x28, Sections);
        U16(0x3a, 0x40);
        U16(0x3c, 2);
        U32(Sections + 4, 0x6ffffffe);
        U64(Sections + 0x18, Needs);
        U32(Sections + 0x28, 1);
        U32(Sections + 0x40 + 4, 3);
        U64(Sections + 0x40 + 0x18, Strings);
        U32(Needs + 8, 16);
        U32(Needs + 16 + 8, 1);
        U32(Needs + 16 + 12, 16);
        U32(Needs + 32 + 8, 9);
        "\0GCC_3.0\0GLIBCXX_3.4.32\0"u8.CopyTo(elf.AsSpan(Strings));
        return elf;

        void U16(int at, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(elf.AsSpan(at), value);
        void U32(int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(elf.AsSpan(at), value);
        void U64(int at, ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(elf.AsSpan(at), value);
    }
}
