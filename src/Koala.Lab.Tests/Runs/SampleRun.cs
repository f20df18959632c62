using System.Text.Json.Nodes;
using Koala.Lab.Runs;

namespace Koala.Lab.Tests.Runs;

internal static class SampleRun
{
    public static RunFolder Create(string path)
    {
        var folder = RunFolder.Create(path);
        folder.WriteRecord(Record());
        return folder;
    }

    public static RunRecord Record() => RunRecord.Begin("train", ["train", "--layers", "2"], new JsonObject { ["layers"] = 2 },
        new Dictionary<string, long> { ["training"] = 7 }, "cpu", "fp32", new FixedTime("2026-11-23T10:15:04Z"));
}

internal sealed class FixedTime(string now) : TimeProvider
{
    public override DateTimeOffset GetUtcNow() => DateTimeOffset.Parse(now).ToUniversalTime();
}
