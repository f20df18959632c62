namespace Koala.Lab.Tests;

/// <summary>Random damage to valid files, reproducible by its seed.</summary>
internal static class Mutations
{
    /// <summary>The number of mutations per format; tests with them have the trait <see cref="PromptSample.Sampled"/>.</summary>
    public static int Count { get; } = PromptSample.Count(100_000, 20_000);

    // Parsers hold text as UTF-16, dictionaries and lists in addition to the file; each is a small multiple of its
    // size.
    private const int Multiple = 64;
    private const long Margin = 1 << 20;

    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(2);

    private static readonly byte[][] s_extremes =
    [
        [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
        [0, 0, 0, 0, 0, 0, 0, 0x80],
        [0xff, 0xff, 0xff, 0xff], [0xff, 0xff, 0xff, 0x7f], [0, 0, 0, 0x80], [0, 0, 0, 0], [0, 0, 1, 0, 0, 0, 0, 0],
    ];

    private static readonly string[] s_words =
        ["null", "true", "-1", "0", "1e308", "1e999", "2147483648", "9223372036854775808", "16777217", "[]", "{}",
            "\"\"", "\"\\ud800\"", "[[[[[[[[", ",", "\"", "0.5", "NaN"];

    /// <summary>
    /// Loads one mutation after another; each must load or be refused with a <see cref="KoalaException"/>, on bounded
    /// memory and in bounded time.
    /// </summary>
    /// <param name="valid">The file that is damaged.</param>
    /// <param name="seed">The seed of the random damage.</param>
    /// <param name="load">Reads the complete file.</param>
    /// <param name="count">The number of mutations; null for <see cref="Count"/>.</param>
    /// <param name="margin">The bytes that reading may take in addition to a multiple of the file's size.</param>
    public static void Try(byte[] valid, int seed, Action<byte[]> load, int? count = null, long margin = Margin)
    {
        var all = count ?? Count;
        var random = new Random(seed);
        // The first call also pays for static tables and compilation.
        load(valid);
        var (loaded, refused) = (0, 0);
        for (var i = 0; i < all; i++)
        {
            var bytes = Mutate(valid, random);
            var before = GC.GetAllocatedBytesForCurrentThread();
            var busyBefore = Environment.CpuUsage.TotalTime;
            try
            {
                load(bytes);
                loaded++;
            }
            catch (KoalaException e)
            {
                Assert.DoesNotContain('\n', e.Message);
                refused++;
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"seed {seed}, mutation {i}: {Convert.ToBase64String(bytes)}", e);
            }
            var taken = GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.True(taken <= Multiple * bytes.Length + margin,
                $"seed {seed}, mutation {i} took {taken} bytes for a file of {bytes.Length}");
            var busy = Environment.CpuUsage.TotalTime - busyBefore;
            Assert.True(busy < s_longest, $"seed {seed}, mutation {i} took {busy}: {Convert.ToBase64String(bytes)}");
        }
        // Damage that always or never has an effect would test little.
        Assert.InRange(loaded, all / 1000, all);
        Assert.InRange(refused, all / 4, all);
    }

    /// <summary>
    /// Writes a file over the one before it. That one is not truncated first, because some file systems then write to the disk each time.
    /// </summary>
    /// <returns>The path.</returns>
    public static string Write(string path, byte[] bytes)
    {
        using var stream = new FileStream(path, FileMode.OpenOrCreate, FileAccess.Write);
        stream.SetLength(bytes.Length);
        stream.Write(bytes);
        return path;
    }

    private static byte[] Mutate(byte[] valid, Random random)
    {
        List<byte> bytes = [.. valid];
        for (var n = random.Next(1, 4); n > 0 && bytes.Count > 1; n--)
        {
            var at = random.Next(bytes.Count);
            var length = Math.Min(random.Next(1, 40), bytes.Count - at);
            switch (random.Next(9))
            {
                case 0: bytes[at] ^= (byte)(1 << random.Next(8)); break;
                case 1: bytes[at] = (byte)random.Next(256); break;
                case 2: bytes.Insert(at, (byte)random.Next(256)); break;
                case 3: bytes.RemoveRange(at, length); break;
                case 4: bytes.InsertRange(at, bytes.GetRange(at, length)); break;
                case 5: Overwrite(bytes, at, s_extremes[random.Next(s_extremes.Length)]); break;
                case 6: Overwrite(bytes, at, [.. bytes.GetRange(random.Next(bytes.Count - length + 1), length)]); break;
                case 7 when random.Next(4) == 0: bytes.RemoveRange(at, bytes.Count - at); break;
                default: Replace(bytes, at, s_words[random.Next(s_words.Length)]); break;
            }
        }
        return [.. bytes];
    }

    private static void Overwrite(List<byte> bytes, int at, byte[] with)
    {
        for (var i = 0; i < with.Length && at + i < bytes.Count; i++) bytes[at + i] = with[i];
    }

    // In text, a number, a word or a string is replaced as a unit, so that the file stays JSON and only its meaning
    // changes.
    private static void Replace(List<byte> bytes, int at, string word)
    {
        static bool IsEdge(byte b) =>
            b is (byte)':' or (byte)',' or (byte)'[' or (byte)']' or (byte)'{' or (byte)'}' or (byte)'\n';
        while (at > 0 && !IsEdge(bytes[at - 1])) at--;
        var end = at;
        while (end < bytes.Count && end - at < 200 && !IsEdge(bytes[end])) end++;
        bytes.RemoveRange(at, end - at);
        bytes.InsertRange(at, word.Select(c => (byte)c));
    }
}
