using System.Buffers.Binary;
using System.Text;
using Koala.Lab.Data;
using Parquet;
using Parquet.Schema;
using Parquet.Serialization;

namespace Koala.Lab.Tests.Data;

/// <summary>A Parquet file that claims more than it holds is refused before anybody believes it.</summary>
public sealed class ParquetCheckTests : IDisposable
{
    // A file's schema compiles into code for its rows, and the chats of a row into text.
    private const long Margin = 32 << 20;
    private const int Multiple = 64;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    public static TheoryData<CompressionMethod> Codecs =>
        [CompressionMethod.None, CompressionMethod.Snappy, CompressionMethod.Gzip, CompressionMethod.Zstd, CompressionMethod.LZ4];

    [Theory, MemberData(nameof(Codecs))]
    public async Task Files_of_every_codec_are_read(CompressionMethod codec)
    {
        // Texts that repeat gain what a codec can reach.
        var path = await Write(codec, rows: 2000, text: new string('a', 1000));
        var rows = ParquetRows.Read(path).ToList();
        Assert.Equal(2000, rows.Count);
        Assert.Equal(new string('a', 1000), rows[^1].Row.Text("prompt"));
    }

    [Theory, MemberData(nameof(Codecs)), Trait(PromptSample.Category, PromptSample.Sampled)]
    public async Task A_damaged_file_is_read_or_refused_on_little_memory(CompressionMethod codec)
    {
        var path = await Write(codec, rows: 3, text: "Why do koalas sleep so long?");
        Mutations.Try(File.ReadAllBytes(path), 20_261_133, bytes =>
        {
            Mutations.Write(path, bytes);
            foreach (var _ in ParquetRows.Read(path)) { }
        }, Mutations.Count / Codecs.Count, Margin);
    }

    /// <summary>
    /// Every number of the metadata is replaced by the largest one of 32 bits and by one of 28 bits, as nobody's random damage does.
    /// </summary>
    [Theory, MemberData(nameof(Codecs))]
    public async Task A_claim_of_any_number_takes_little_memory(CompressionMethod codec)
    {
        var valid = await File.ReadAllBytesAsync(await Write(codec, rows: 3, text: "Why?"), TestContext.Current.CancellationToken);
        var (refused, path) = (0, _folder.At("claims.parquet"));
        byte[][] claims = [[0xFE, 0xFF, 0xFF, 0xFF, 0x0F], [0xFE, 0xFF, 0xFF, 0x7F]];
        foreach (var claim in claims)
            for (var at = 4; at < valid.Length - 8; at++)
            {
                // A number of one byte becomes a longer one, and the footer's length counts it.
                var footer = BinaryPrimitives.ReadInt32LittleEndian(valid.AsSpan(valid.Length - 8));
                byte[] bytes = [.. valid[..at], .. claim, .. valid[(at + 1)..]];
                if (at >= valid.Length - 8 - footer)
                    BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(bytes.Length - 8), footer + claim.Length - 1);
                File.WriteAllBytes(path, bytes);
                var before = GC.GetAllocatedBytesForCurrentThread();
                try
                {
                    foreach (var _ in ParquetRows.Read(path)) { }
                }
                catch (KoalaException e)
                {
                    Assert.DoesNotContain('\n', e.Message);
                    refused++;
                }
                var taken = GC.GetAllocatedBytesForCurrentThread() - before;
                Assert.True(taken < Multiple * bytes.Length + Margin, $"byte {at}: {taken} bytes for a file of {bytes.Length}");
            }
        Assert.True(refused > claims.Length * (valid.Length - 12) / 2, $"{refused} refused");
    }

    [Theory]
    [InlineData("a footer longer than the file", "its footer is longer than the file")]
    [InlineData("another end", "it does not end as Parquet does")]
    [InlineData("nothing", "it is too short")]
    public async Task What_is_wrong_is_said(string damage, string fault)
    {
        var path = await Write(CompressionMethod.None, rows: 1, text: "Why?");
        var bytes = await File.ReadAllBytesAsync(path, TestContext.Current.CancellationToken);
        if (damage == "another end") bytes[^1]++;
        else if (damage == "nothing") bytes = Encoding.ASCII.GetBytes("PAR1PAR1");
        else BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(bytes.Length - 8), bytes.Length - 11);
        await File.WriteAllBytesAsync(path, bytes, TestContext.Current.CancellationToken);
        var error = Assert.Throws<KoalaException>(() => ParquetRows.Read(path).Count());
        Assert.Equal(path, error.Where);
        Assert.Contains(fault, error.Fault, StringComparison.Ordinal);
    }

    private async Task<string> Write(CompressionMethod codec, int rows, string text)
    {
        var schema = new ParquetSchema(new DataField<string>("prompt"), new DataField<int>("number"), new ListField("messages",
            new StructField("element", new DataField<string>("content"), new DataField<string>("role"))));
        List<IDictionary<string, object?>> data = [.. Enumerable.Range(0, rows).Select(i => new Dictionary<string, object?>
        {
            ["prompt"] = text,
            ["number"] = i,
            ["messages"] = new List<Dictionary<string, object>> { new() { ["content"] = text, ["role"] = "user" } },
        })];
        var path = _folder.At("valid.parquet");
        await using var file = File.Create(path);
        await ParquetSerializer.SerializeUntypedAsync(data, schema, file, new ParquetOptions { CompressionMethod = codec },
            cancellationToken: TestContext.Current.CancellationToken);
        return path;
    }
}
