using System.Buffers.Binary;
using System.Text;
using Koala.Lab.Checkpoints.Safetensors;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Checkpoints;

/// <summary>
/// Files with false contents: each is one KoalaException, and none takes more memory than its length and 1 MiB.
/// </summary>
public sealed class HostileSafetensorsTests : IDisposable
{
    private const int Seed = 20_260_312;
    private const long Margin = 1 << 20;

    private readonly TemporaryFolder _folder = new();

    /// <summary>The name of a case, the file, and words of its error.</summary>
    public static TheoryData<string, byte[], string> Files
    {
        get
        {
            var data = new TheoryData<string, byte[], string>
            {
                { "empty file", [], "0 bytes" },
                { "seven bytes", new byte[7], "7 bytes" },
                { "length 0", new byte[8], "does not begin with '{'" },
                { "length 0, data behind it", new byte[64], "does not begin with '{'" },
                { "length of all ones", Length(ulong.MaxValue), "at most 100000000" },
                { "length of the largest signed", Length(long.MaxValue), "at most 100000000" },
                { "length one above the ceiling", Length(100_000_001), "at most 100000000" },
                { "length at the ceiling in a short file", Length(100_000_000), "8 bytes after its length" },
                { "length one beyond the file", Length(9), "8 bytes after its length" },
                { "length in big endian", [0, 0, 0, 0, 0, 0, 0, 2, (byte)'{', (byte)'}'], "at most 100000000" },
            };
            void Header(string name, string header, string fault, int bytes = 0) =>
                data.Add(name, SafetensorsBytes.File(header, bytes), fault);
            void Raw(string name, byte[] header, string fault) => data.Add(name, SafetensorsBytes.File(header), fault);
            void Entry(string name, string entry, string fault, int bytes = 0) =>
                Header(name, "{\"x\":" + entry + "}", fault, bytes);

            Raw("not UTF-8", [(byte)'{', (byte)'"', 0xff, (byte)'"', (byte)':', (byte)'1', (byte)'}'], "UTF-8");
            Raw("byte-order mark", [0xef, 0xbb, 0xbf, (byte)'{', (byte)'}'], "does not begin with '{'");
            Raw("zeros behind the JSON", [(byte)'{', (byte)'}', 0, 0, 0, 0], "not valid JSON");
            Header("white space first", " {}", "does not begin with '{'");
            Header("a list", "[]", "does not begin with '{'");
            Header("null", "null", "does not begin with '{'");
            Header("not closed", "{", "not valid JSON");
            Header("two objects", "{}{}", "not valid JSON");
            Header("comma at the end", """{"__metadata__":{},}""", "not valid JSON");
            Header("a comment", "{/**/}", "not valid JSON");
            Header("nested a thousand deep", """{"x":""" + new string('[', 1000) + new string(']', 1000) + "}",
                "not an object");
            Header("nested a thousand deep in an entry",
                """{"x":{"shape":""" + new string('[', 1000) + new string(']', 1000) + "}}", "whole numbers");
            Header("half a surrogate pair as a name", """{"\ud800":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}""",
                "surrogate");
            Header("half a surrogate pair in a name as long as __metadata__",
                """{"\udc00___________":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}""", "surrogate");
            Header("half a surrogate pair as an entry's key",
                """{"x":{"\ud800type":"U8","shape":[0],"data_offsets":[0,0]}}""", "surrogate");
            Header("half a surrogate pair in metadata", """{"__metadata__":{"a":"\ud800"}}""", "surrogate");
            Header("metadata twice", """{"__metadata__":{},"__metadata__":{}}""", "once");
            Header("metadata is a string", """{"__metadata__":"a"}""", "object of strings");
            Header("metadata value is a number", """{"__metadata__":{"a":1}}""", "not a string");
            Header("metadata key twice", """{"__metadata__":{"a":"1","a":"2"}}""", "twice");
            Header("a name twice",
                """{"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}""",
                "twice");
            Header("a name twice, once escaped",
                """{"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\u0078":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}""",
                "twice");
            Entry("entry is a list", "[]", "not an object");
            Entry("entry is null", "null", "not an object");
            Entry("no dtype", """{"shape":[0],"data_offsets":[0,0]}""", "lacks dtype");
            Entry("no shape", """{"dtype":"U8","data_offsets":[0,0]}""", "lacks shape");
            Entry("no offsets", """{"dtype":"U8","shape":[0]}""", "lacks data_offsets");
            Entry("dtype twice", """{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}""", "'dtype' twice");
            Entry("a key beside the three", """{"dtype":"U8","shape":[0],"data_offsets":[0,0],"pickle":"x"}""", "'pickle'");
            Entry("dtype is a number", """{"dtype":32,"shape":[0],"data_offsets":[0,0]}""", "not a string");
            Entry("dtype of no kind", """{"dtype":"F7","shape":[0],"data_offsets":[0,0]}""", "'F7'");
            Entry("half a byte", """{"dtype":"F4","shape":[1],"data_offsets":[0,1]}""", "takes 4 bits", 1);
            Entry("dtype in small letters", """{"dtype":"f32","shape":[0],"data_offsets":[0,0]}""", "'f32'");
            Entry("dtype with a control character", """{"dtype":"F\n32","shape":[0],"data_offsets":[0,0]}""", "dtype");
            Entry("shape is a number", """{"dtype":"U8","shape":1,"data_offsets":[0,1]}""", "shape is not a list", 1);
            Entry("negative size", """{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}""", "'-1'", 1);
            Entry("two negative sizes", """{"dtype":"U8","shape":[-1,-1],"data_offsets":[0,1]}""", "'-1'", 1);
            Entry("fraction as a size", """{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}""", "'1.5'", 1);
            Entry("whole fraction as a size", """{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}""", "'1.0'", 1);
            Entry("exponent as a size", """{"dtype":"U8","shape":[1e0],"data_offsets":[0,1]}""", "'1e0'", 1);
            Entry("string as a size", """{"dtype":"U8","shape":["1"],"data_offsets":[0,1]}""", "whole numbers", 1);
            Entry("null as a size", """{"dtype":"U8","shape":[null],"data_offsets":[0,1]}""", "whole numbers", 1);
            Entry("size beyond 64 bits", """{"dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,0]}""",
                "whole numbers");
            Entry("sizes whose product wraps to 0",
                """{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}""", "more elements");
            Entry("sizes whose bytes wrap to 0",
                """{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}""", "more elements");
            Entry("an empty tensor with sizes that overflow",
                """{"dtype":"F64","shape":[0,4611686018427387904,4],"data_offsets":[0,0]}""", "more elements");
            Entry("65 dimensions",
                $$"""{"dtype":"U8","shape":[{{string.Join(",", Enumerable.Repeat(1, 65))}}],"data_offsets":[0,1]}""",
                "64", 1);
            Entry("shape larger than the range", """{"dtype":"F32","shape":[2],"data_offsets":[0,4]}""", "takes 8 bytes", 4);
            Entry("shape smaller than the range", """{"dtype":"F32","shape":[1],"data_offsets":[0,8]}""", "takes 4 bytes", 8);
            Entry("one offset", """{"dtype":"U8","shape":[1],"data_offsets":[1]}""", "begin and an end", 1);
            Entry("three offsets", """{"dtype":"U8","shape":[1],"data_offsets":[0,1,1]}""", "begin and an end", 1);
            Entry("end before begin", """{"dtype":"U8","shape":[1],"data_offsets":[1,0]}""", "begin and an end", 1);
            Entry("negative offset", """{"dtype":"U8","shape":[1],"data_offsets":[-1,0]}""", "'-1'", 1);
            Entry("range beyond the file", """{"dtype":"U8","shape":[2],"data_offsets":[0,2]}""", "contains 1 bytes", 1);
            Entry("range far beyond the file",
                """{"dtype":"U8","shape":[9223372036854775807],"data_offsets":[0,9223372036854775807]}""",
                "contains 1 bytes", 1);
            Entry("data do not begin at 0", """{"dtype":"U8","shape":[1],"data_offsets":[1,2]}""", "gap", 2);
            Entry("bytes behind the last tensor", """{"dtype":"U8","shape":[1],"data_offsets":[0,1]}""",
                "1 bytes at the end", 2);
            Header("bytes and no tensor", "{}", "belong to no tensor", 1);
            Header("two tensors over the same bytes",
                """{"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"y":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}""",
                "overlap", 4);
            Header("two tensors overlap by a byte",
                """{"x":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"y":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}""",
                "overlap", 4);
            Header("a gap between tensors",
                """{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"y":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}""",
                "gap", 3);
            Header("an empty tensor inside another",
                """{"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"y":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}}""",
                "overlap", 4);
            Header("100,000 empty tensors", "{" + string.Join(",", Enumerable.Range(0, 100_000).Select(i => $$"""
                "{{i}}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}
                """)) + "}", "more memory");
            Header("a name of a million letters",
                $$$"""{"{{{new string('x', 1_200_000)}}}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}""",
                "more memory");
            return data;
        }
    }

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Files), DisableDiscoveryEnumeration = true)]
    public void A_hostile_file_is_one_error_that_names_the_location(string name, byte[] bytes, string fault)
    {
        var path = _folder.At("model.safetensors");
        File.WriteAllBytes(path, bytes);
        var e = Assert.Throws<KoalaException>(() => SafetensorsFile.Open(path).Dispose());
        Assert.True(e.Fault.Contains(fault), $"{name}: {e.Message}");
        Assert.StartsWith(path, e.Where);
        Assert.Contains(", byte ", e.Where);
        Assert.DoesNotContain('\n', e.Message);
        Assert.InRange(e.Message.Length, 0, path.Length + 600);
        Assert.InRange(Allocated(path), 0, bytes.Length + Margin);
    }

    [Fact]
    public void There_are_at_least_45_hostile_files_under_different_names()
    {
        Assert.InRange(Files.Count, 45, int.MaxValue);
        Assert.Distinct(Files.Select(f => f.Data.Item1));
    }

    [Fact]
    public void The_error_names_the_tensor_and_the_byte_of_its_entry()
    {
        var e = Assert.Throws<KoalaException>(() =>
            Header(SafetensorsBytes.File("""{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}""", 4)));
        Assert.Equal("f, tensor 'x', byte 9", e.Where);
    }

    [Fact]
    public void An_overlap_is_named_by_its_byte_in_the_file()
    {
        const string json = """{"x":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"y":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}""";
        var e = Assert.Throws<KoalaException>(() => Header(SafetensorsBytes.File(json, 4)));
        Assert.Equal($"f, tensor 'y', byte {8 + json.Length + 2}", e.Where);
    }

    [Fact]
    public void Every_truncation_is_an_error()
    {
        var bytes = SafetensorsBytes.Small();
        var path = _folder.At("model.safetensors");
        for (var length = 0; length < bytes.Length; length++)
        {
            File.WriteAllBytes(path, bytes[..length]);
            Assert.Throws<KoalaException>(() => SafetensorsFile.Open(path));
        }
    }

    [Fact]
    public void Every_byte_of_the_header_with_every_value_is_a_file_or_one_error()
    {
        var bytes = SafetensorsBytes.Small();
        var length = 8 + (int)BinaryPrimitives.ReadUInt64LittleEndian(bytes);
        var opened = 0;
        for (var at = 0; at < length; at++)
        {
            var kept = bytes[at];
            for (var value = 0; value < 256; value++)
            {
                bytes[at] = (byte)value;
                if (Opens(bytes)) opened++;
            }
            bytes[at] = kept;
        }
        // The unchanged file occurs once per byte; a changed letter in a name or in metadata is valid too.
        Assert.InRange(opened, length + 1, length * 256 / 4);
    }

    [Fact, Trait(PromptSample.Category, PromptSample.Sampled)]
    public void Random_mutations_are_a_file_or_one_error_and_take_little_memory()
    {
        var random = new Random(Seed);
        var valid = SafetensorsBytes.Small();
        var path = _folder.At("model.safetensors");
        var (opened, refused) = (0, 0);
        Allocated(path);
        for (var i = 0; i < Mutations.Count; i++)
        {
            var bytes = Mutate(valid, random);
            Mutations.Write(path, bytes);
            try
            {
                Assert.InRange(Allocated(path), 0, bytes.Length + Margin);
                if (!Opens(bytes))
                {
                    refused++;
                    continue;
                }
                opened++;
                using var file = SafetensorsFile.Open(path);
                foreach (var (name, info) in file.Tensors)
                    if (info.Dtype is { } dtype) file.Read(name, dtype, CPU).Dispose();
            }
            catch (Exception e) when (e is not KoalaException)
            {
                throw new InvalidOperationException($"seed {Seed}, mutation {i}: {Convert.ToHexString(bytes)}", e);
            }
        }
        Assert.InRange(opened, Mutations.Count / 200, Mutations.Count);
        Assert.InRange(refused, Mutations.Count / 2, Mutations.Count);
    }

    private static byte[] Mutate(byte[] valid, Random random)
    {
        List<byte> bytes = [.. valid];
        for (var n = random.Next(1, 4); n > 0 && bytes.Count > 1; n--)
        {
            var at = random.Next(bytes.Count);
            switch (random.Next(6))
            {
                case 0: bytes[at] ^= (byte)(1 << random.Next(8)); break;
                case 1: bytes[at] = (byte)random.Next(256); break;
                case 2: bytes.Insert(at, (byte)random.Next(256)); break;
                case 3: bytes.RemoveAt(at); break;
                case 4: bytes.InsertRange(at, bytes.GetRange(at, Math.Min(random.Next(1, 40), bytes.Count - at))); break;
                // One digit of a size, an offset or a type is changed; most other changes already fail in the JSON.
                default:
                    var digits = Enumerable.Range(8, Math.Max(0, bytes.Count - 8))
                        .Where(i => char.IsAsciiDigit((char)bytes[i]))
                        .ToList();
                    if (digits.Count > 0) bytes[digits[random.Next(digits.Count)]] = (byte)('0' + random.Next(10));
                    break;
            }
        }
        // Half of the files keep a valid header length, so that the reader gets to what follows.
        if (random.Next(2) == 0 && bytes.Count > 8)
        {
            var all = bytes.ToArray();
            BinaryPrimitives.WriteUInt64LittleEndian(all, (ulong)Math.Max(0, bytes.Count - 8 - 31));
            return all;
        }
        return [.. bytes];
    }

    private static bool Opens(byte[] bytes)
    {
        try
        {
            Header(bytes);
            return true;
        }
        catch (KoalaException)
        {
            return false;
        }
    }

    private static SafetensorsHeader Header(byte[] bytes) => SafetensorsHeader.Read("f", bytes, bytes.Length);

    private static byte[] Length(ulong length)
    {
        var bytes = new byte[16];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, length);
        Encoding.ASCII.GetBytes("{}      ").CopyTo(bytes, 8);
        return bytes;
    }

    // The managed memory that opening takes, including the error.
    private static long Allocated(string path)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            SafetensorsFile.Open(path).Dispose();
        }
        catch (KoalaException)
        {
            // This test asks for the memory only.
        }
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }
}
