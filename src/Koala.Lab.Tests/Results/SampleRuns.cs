using System.Text.Json.Nodes;
using Koala.Lab.Runs;
using Koala.Lab.Tests.Runs;

namespace Koala.Lab.Tests.Results;

/// <summary>
/// Four runs in a folder: three seeds of a head, of which the first has a control and a report, and one head of one layer, which was
/// interrupted. The report is one of the repository's measurements.
/// </summary>
internal sealed class SampleRuns : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public SampleRuns()
    {
        for (var seed = 0; seed < 3; seed++) Add($"seed{seed}", layers: 2, seed, adversaryWeight: 0.1, RunState.Finished);
        Add("seed0/control", layers: 2, seed: 0, adversaryWeight: 0, RunState.Finished);
        Add("cells/k1", layers: 1, seed: 0, adversaryWeight: 0, RunState.Interrupted);
        Directory.CreateDirectory(At("seed0", "results"));
        File.Copy(Report, At("seed0", "results", "mt-bench.json"));
    }

    /// <summary>The report of the first run.</summary>
    public static string Report => TestFiles.At("docs", "results", "heads", "mt-bench-eagle-k2.json");

    public string Path => _folder.Path;

    public string At(params string[] parts) => _folder.At(parts);

    /// <summary>Makes the runs' other faults: a record of a newer version, one that is no JSON, and a report that is none.</summary>
    public void Damage()
    {
        Directory.CreateDirectory(At("newer"));
        Directory.CreateDirectory(At("broken"));
        Directory.CreateDirectory(At("seed1", "results"));
        var record = File.ReadAllText(At("seed0", "run.json"));
        var newer = record.Replace("\"formatVersion\": 1", "\"formatVersion\": 9", StringComparison.Ordinal);
        File.WriteAllText(At("newer", "run.json"), newer);
        File.WriteAllText(At("broken", "run.json"), "{");
        File.WriteAllText(At("seed1", "results", "gone.json"), """{"target":"t"}""");
        // A run without its metrics is a run all the same.
        File.Delete(At("seed2", "metrics.jsonl"));
    }

    public void Dispose() => _folder.Dispose();

    private void Add(string name, int layers, int seed, double adversaryWeight, RunState state)
    {
        var options = new JsonObject
        {
            ["head"] = new JsonObject { ["kind"] = "medusa", ["layers"] = layers },
            ["training"] = new JsonObject
            {
                ["steps"] = 4,
                ["seed"] = seed,
                ["learningRate"] = 0.003,
                ["losses"] = new JsonArray(new JsonObject { ["name"] = "kl", ["weight"] = 1 }),
                ["adversary"] = new JsonObject { ["weight"] = adversaryWeight, ["learningRate"] = 0.001 },
            },
            ["targetIdentity"] = new JsonObject { ["name"] = "koala-nano" },
        };
        var time = new FixedTime($"2026-11-23T10:15:0{seed}Z");
        var folder = RunFolder.Create(At(name));
        folder.WriteRecord(RunRecord.Begin("train", ["train", "--layers", $"{layers}"], options,
            new Dictionary<string, long> { ["training"] = seed }, "cpu", "fp32", time).End(state, time: time));
        using var log = MetricsLog.Create(folder.MetricsFile);
        for (var step = 1; step <= (state == RunState.Finished ? 4 : 3); step++)
        {
            var values = new Dictionary<string, double> { ["seconds"] = step, ["loss"] = step == 1 ? double.NaN : 10.0 / step + seed };
            if (step == 2) values["validationAccuracyAtDepth1"] = 0.25 + seed;
            log.Append(step, values);
        }
    }
}
