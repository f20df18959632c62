using CsCheck;
using Koala.Lab.Runs;

namespace Koala.Lab.Tests.Runs;

public sealed class MetricsLogTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly string _file;

    public MetricsLogTests() => _file = _folder.At("metrics.jsonl");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_line_is_one_object_and_can_be_read_while_the_run_is_active()
    {
        using var log = MetricsLog.Create(_file);
        log.Append(1, Values(("loss", 2.5), ("loss1", 1e-300)));
        log.Append(2, Values(("loss", 0.1)));
        Assert.Equal([1, 2], MetricsLog.Read(_file).Select(l => l.Step));
        Assert.Equal(1e-300, MetricsLog.Read(_file)[0].Values["loss1"]);
        log.Sync();
        log.Dispose();
        Assert.Equal("{\"step\":1,\"loss\":2.5,\"loss1\":1E-300}\n{\"step\":2,\"loss\":0.1}\n", File.ReadAllText(_file));
    }

    [Fact]
    public void What_is_not_finite_is_null_in_the_file_and_NaN_when_read()
    {
        using (var log = MetricsLog.Create(_file))
            log.Append(1, Values(("a", double.NaN), ("b", double.PositiveInfinity), ("c", double.NegativeInfinity)));
        Assert.Equal("{\"step\":1,\"a\":null,\"b\":null,\"c\":null}\n", File.ReadAllText(_file));
        Assert.All(MetricsLog.Read(_file)[0].Values.Values, v => Assert.Equal(double.NaN, v));
    }

    [Fact]
    public void A_half_written_last_line_is_ignored()
    {
        var complete = "{\"step\":1,\"loss\":2}\n{\"step\":2,\"loss\":1}\n";
        var first = complete.IndexOf('\n') + 1;
        for (var length = 0; length <= complete.Length; length++)
        {
            File.WriteAllText(_file, complete[..length]);
            Assert.Equal(length == complete.Length ? 2 : length >= first ? 1 : 0, MetricsLog.Read(_file).Count);
        }
    }

    [Fact]
    public void A_log_that_ends_in_zeros_after_a_power_failure_is_read_up_to_them()
    {
        File.WriteAllText(_file, "{\"step\":1}\n\0\0\0\0");
        Assert.Equal([1], MetricsLog.Read(_file).Select(l => l.Step));
    }

    [Theory]
    [InlineData(0, new int[] { })]
    [InlineData(1, new[] { 1 })]
    [InlineData(2, new[] { 1, 2 })]
    [InlineData(9, new[] { 1, 2, 3 })]
    public void A_resumed_log_continues_after_the_state_and_drops_later_lines(int step, int[] kept)
    {
        File.WriteAllText(_file, "{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n{\"step\":4,\"lo");
        using (var log = MetricsLog.Resume(_file, step)) log.Append(10, []);
        Assert.Equal([.. kept, 10], MetricsLog.Read(_file).Select(l => l.Step));
    }

    [Fact]
    public void Resuming_creates_a_missing_log_and_creating_empties_an_existing_one()
    {
        using (var log = MetricsLog.Resume(_file, 5)) log.Append(6, []);
        Assert.Single(MetricsLog.Read(_file));
        MetricsLog.Create(_file).Dispose();
        Assert.Empty(MetricsLog.Read(_file));
    }

    [Fact]
    public void Each_step_comes_once_in_ascending_order()
    {
        using var log = MetricsLog.Create(_file);
        log.Append(2, []);
        Assert.Throws<ArgumentOutOfRangeException>(() => log.Append(2, []));
        Assert.Throws<ArgumentException>(() => log.Append(3, Values(("step", 1))));
        Assert.Equal([2], MetricsLog.Read(_file).Select(l => l.Step));
    }

    [Theory]
    [InlineData("text")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("{\"step\":1.5}")]
    [InlineData("{\"step\":1}")]
    [InlineData("{\"step\":2,\"loss\":\"low\"}")]
    [InlineData("{\"step\":2,\"loss\":1,\"loss\":1}")]
    [InlineData("{\"step\":2,\"\\ud800\":1}")]
    [InlineData("")]
    public void A_malformed_line_but_the_last_is_one_error_with_its_number(string line)
    {
        File.WriteAllText(_file, "{\"step\":1}\n" + line + "\n{\"step\":9}\n");
        Assert.Equal(_file + ":2", Assert.Throws<KoalaException>(() => MetricsLog.Read(_file)).Where);
        Assert.Throws<KoalaException>(() => MetricsLog.Resume(_file, 20));
    }

    [Fact]
    public void Every_damaged_byte_ends_in_lines_or_one_error()
    {
        var complete = "{\"step\":1,\"loss\":2.5}\n{\"step\":2,\"loss\":null}\n{\"step\":3,\"loss\":1}\n"u8.ToArray();
        Gen.Select(Gen.Int[0, complete.Length - 1], Gen.Byte).Array[1, 4].Sample(changes =>
        {
            var damaged = complete.ToArray();
            foreach (var (at, value) in changes) damaged[at] = value;
            File.WriteAllBytes(_file, damaged);
            if (Record.Exception(() => MetricsLog.Read(_file)) is { } e) Assert.IsType<KoalaException>(e);
        }, iter: 500, threads: 1);
    }

    [Fact]
    public void A_full_disk_is_one_error()
    {
        Assert.SkipUnless(File.Exists("/dev/full"), "this system has no /dev/full");
        File.CreateSymbolicLink(_file, "/dev/full");
        Assert.Throws<KoalaException>(() =>
        {
            using var log = MetricsLog.Create(_file);
            log.Append(1, []);
        });
    }

    [Fact]
    public void A_file_that_cannot_be_created_is_one_error() =>
        Assert.Throws<KoalaException>(() => MetricsLog.Create(_folder.At("none", "metrics.jsonl")));

    private static IEnumerable<KeyValuePair<string, double>> Values(params (string Name, double Value)[] values) =>
        values.Select(v => KeyValuePair.Create(v.Name, v.Value));
}
