using System.Text.Json;
using System.Text.Json.Nodes;
using CsCheck;
using Koala.Lab.Runs;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Tests.Runs;

public sealed class RunRecordTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Reads_back_what_it_wrote()
    {
        var record = SampleRun.Record();
        record.Write(_folder.At("run.json"));
        var read = RunRecord.Read(_folder.At("run.json"));
        Assert.Equal(JsonSerializer.Serialize(record, JsonFormat.Line), JsonSerializer.Serialize(read, JsonFormat.Line));
        Assert.Equal(new DateTimeOffset(2026, 11, 23, 10, 15, 4, TimeSpan.Zero), read.Started);
        Assert.Equal(2, (int)read.Options["layers"]!);
        Assert.Contains("TorchSharp", read.Packages.Keys);
    }

    [Fact]
    public void The_format_version_comes_first()
    {
        SampleRun.Record().Write(_folder.At("run.json"));
        Assert.StartsWith("{\n  \"formatVersion\": 1,", File.ReadAllText(_folder.At("run.json")), StringComparison.Ordinal);
    }

    [Fact]
    public void An_ended_run_records_its_end_and_a_resumed_one_clears_it()
    {
        var failed = SampleRun.Record().End(RunState.Failed, "the loss is not finite", new FixedTime("2026-11-23T10:20:00Z"));
        Assert.Equal(new DateTimeOffset(2026, 11, 23, 10, 20, 0, TimeSpan.Zero), failed.Ended);
        var resumed = failed.Resume();
        Assert.Equal((RunState.Running, null, null), (resumed.State, resumed.Ended, resumed.Failure));
        Assert.Equal(failed.Started, resumed.Started);
    }

    [Theory]
    [InlineData("2")]
    [InlineData("\"1\"")]
    [InlineData("1.5")]
    [InlineData("null")]
    public void Refuses_another_format_version_before_it_looks_at_the_rest(string version)
    {
        File.WriteAllText(_folder.At("run.json"), $$"""{"formatVersion": {{version}}, "kind": 5}""");
        var e = Assert.Throws<KoalaException>(() => RunRecord.Read(_folder.At("run.json")));
        Assert.Equal($"has format version {version}, but this Koala reads 1", e.Fault);
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("""{"formatVersion": 1}""")]
    [InlineData("""{"formatVersion": 1, "formatVersion": 1}""")]
    [InlineData("""{"formatVersion": 1, "kind":""")]
    public void A_malformed_record_is_one_error_of_one_line(string text)
    {
        File.WriteAllText(_folder.At("run.json"), text);
        var e = Assert.Throws<KoalaException>(() => RunRecord.Read(_folder.At("run.json")));
        Assert.Equal(_folder.At("run.json"), e.Where);
        Assert.DoesNotContain('\n', e.Message);
    }

    [Fact]
    public void A_record_without_one_of_its_fields_or_with_null_in_it_is_one_error()
    {
        var complete = JsonSerializer.Serialize(SampleRun.Record(), JsonFormat.Document);
        foreach (var field in (string[])["kind", "command", "options", "seeds", "packages", "machine", "device",
            "dtype", "started"])
        {
            var without = JsonNode.Parse(complete)!.AsObject();
            without.Remove(field);
            var withNull = JsonNode.Parse(complete)!.AsObject();
            withNull[field] = null;
            foreach (var record in (JsonObject[])[without, withNull])
            {
                File.WriteAllText(_folder.At("run.json"), record.ToJsonString());
                Assert.Throws<KoalaException>(() => RunRecord.Read(_folder.At("run.json")));
            }
        }
    }

    [Fact]
    public void A_missing_record_is_one_error() => Assert.Throws<KoalaException>(() => RunRecord.Read(_folder.At("run.json")));

    [Fact]
    public void Every_damaged_byte_ends_in_a_record_or_one_error()
    {
        var complete = JsonSerializer.SerializeToUtf8Bytes(SampleRun.Record(), JsonFormat.Line);
        Gen.Select(Gen.Int[0, complete.Length - 1], Gen.Byte).Array[1, 4].Sample(changes =>
        {
            var damaged = complete.ToArray();
            foreach (var (at, value) in changes) damaged[at] = value;
            File.WriteAllBytes(_folder.At("damaged.json"), damaged);
            if (Record.Exception(() => RunRecord.Read(_folder.At("damaged.json"))) is { } e) Assert.IsType<KoalaException>(e);
        }, iter: 500, threads: 1);
    }
}
