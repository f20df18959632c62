using Koala.Lab.Results;
using Koala.Lab.Tests.Results;
using nietras.SeparatedValues;
using Parquet;

namespace Koala.Lab.Tests.Cli;

/// <summary><c>koala runs</c>, <c>koala runs export</c> and <c>koala report</c>.</summary>
public sealed class RunsTests : IDisposable
{
    private readonly SampleRuns _runs = new();

    [Fact]
    public void Runs_are_a_table_and_what_is_damaged_is_a_line_each()
    {
        _runs.Damage();
        var run = CommandRun.Of("runs", _runs.Path).AssertDone();
        // The heading has two lines, and no line has blanks at its end.
        Assert.Equal(7, run.Lines.Length);
        Assert.All(run.Lines, line => Assert.Equal(line.TrimEnd(), line));
        Assert.Matches(@"^seed0 +finished +koala-nano +medusa +2 +0 +0\.1 +4 +2\.5 +0\.25 +2\.43\d* +1\.2\d+ +2026-11-23 10:15$",
            run.Lines[3]);
        var damaged = run.Error.TrimEnd('\n').Split('\n');
        Assert.Equal(["damaged: broken", "damaged: newer", "damaged: seed1"],
            damaged.Select(line => string.Join(": ", line.Split(": ")[..2])));

        var json = CommandRun.Of("runs", _runs.Path, "--where", "layers=2", "--where", "seed<2", "--sort", "loss", "--descending",
            "--columns", "name,training.learningRate,loss", "--json").AssertDone().Json;
        var first = json.GetProperty("runs")[0];
        Assert.Equal(["name", "training.learningRate", "loss"], first.EnumerateObject().Select(value => value.Name));
        Assert.Equal(("seed1", 0.003, 3.5), (first.GetProperty("name").GetString(), first.GetProperty("training.learningRate").GetDouble(),
            first.GetProperty("loss").GetDouble()));
        Assert.Equal(3, json.GetProperty("damaged").GetArrayLength());
    }

    [Fact]
    public void Wrong_input_is_refused_in_one_line()
    {
        CommandRun.Of("runs", _runs.At("none")).AssertRefused("none", "is not a folder");
        CommandRun.Of("runs", _runs.Path, "--where", "layrs=2").AssertRefused("--where: no run has a field layrs", "nearest is layers");
        CommandRun.Of("runs", _runs.Path, "--columns", "nane").AssertRefused("--columns", "nearest is name");
        CommandRun.Of("runs", _runs.Path, "--sort", "learningRate").AssertRefused("--sort", "write more of the field's path");
        CommandRun.Of("runs", _runs.Path, "--descending").AssertRefused("--descending", "belongs to --sort");
        CommandRun.Of("runs", _runs.Path, "--wher", "x").AssertRefused("unknown option --wher: did you mean --where?");
        var empty = Directory.CreateDirectory(_runs.At("empty")).FullName;
        Assert.Equal($"no runs in {empty}\n", CommandRun.Of("runs", empty, "--where", "layers=2").AssertDone().Error);
        CommandRun.Of("report", empty, "--out", _runs.At("page.html")).AssertRefused("has no runs that can be read");
        CommandRun.Of("report", _runs.At("none"), "--out", _runs.At("page.html")).AssertRefused("none", "does not exist");
        CommandRun.Of("report", _runs.At("seed0", "run.json"), "--out", _runs.At("page.html"))
            .AssertRefused("is not a report of koala evaluate");
        _runs.Damage();
        CommandRun.Of("report", _runs.At("newer"), "--out", _runs.At("page.html")).AssertRefused("has format version 9");
        Assert.False(File.Exists(_runs.At("page.html")));
    }

    [Fact]
    public void An_export_that_says_nothing_is_refused_and_nothing_is_written()
    {
        string[] Export(string format, params string[] more) => ["runs", "export", _runs.Path, "--format", format, .. more];
        var path = _runs.At("out");
        CommandRun.Of(Export("csv")).AssertRefused("--out", "is missing");
        CommandRun.Of("runs", "export", _runs.Path, "--out", path).AssertRefused("--format", "is missing");
        CommandRun.Of(Export("xml", "--out", path)).AssertRefused("--format is 'xml'");
        CommandRun.Of(Export("csv", "--out", _runs.At("seed0"))).AssertRefused("exists already");
        CommandRun.Of(Export("mlflow", "--rows", "steps", "--out", path)).AssertRefused("--rows", "is for csv and parquet");
        CommandRun.Of(Export("csv", "--rows", "steps", "--columns", "name", "--out", path)).AssertRefused("--columns");
        CommandRun.Of(Export("csv", "--rows", "answers", "--out", path)).AssertRefused("would have no rows");
        CommandRun.Of(Export("csv", "--where", "seed=17", "--out", path)).AssertRefused("has no runs to export");
        Assert.False(Path.Exists(path));
    }

    [Fact]
    public async Task Csv_and_parquet_hold_the_same_rows()
    {
        var steps = RunTable.Read(_runs.Path).ToSteps();
        var (csv, parquet) = (_runs.At("steps.csv"), _runs.At("steps.parquet"));
        foreach (var path in (string[])[csv, parquet])
        {
            var format = Path.GetExtension(path)[1..];
            CommandRun.Of("runs", "export", _runs.Path, "--format", format, "--rows", "steps", "--out", path).AssertDone();
        }

        using var lines = Sep.Reader().FromFile(csv);
        Assert.Equal(steps.Columns, lines.Header.ColNames);
        var texts = new List<string[]>();
        foreach (var line in lines) texts.Add(line[..].ToStringsArray());
        Assert.Equal(steps.Rows.Select(row => row.Select(ResultText.Exact).ToArray()), texts);

        await using var reader = await ParquetReader.CreateAsync(parquet);
        Assert.Equal(steps.Columns, reader.Schema.DataFields.Select(field => field.Name));
        using var group = reader.OpenRowGroupReader(0);
        var loss = new double?[steps.Rows.Count];
        await group.ReadAsync<double>(reader.Schema.FindDataField("loss"), loss);
        Assert.Equal(steps.Rows.Select(row => row[3] as double?), loss);
        var names = new string[steps.Rows.Count];
        await group.ReadAsync(reader.Schema.FindDataField("run"), names);
        Assert.Equal(steps.Rows.Select(row => row[0]), names);
    }

    [Fact]
    public void Trackers_get_the_files_that_they_import()
    {
        foreach (var format in (string[])["wandb-csv", "trackio-csv", "mlflow"])
            CommandRun.Of("runs", "export", _runs.Path, "--where", "seed=0", "--format", format, "--out", _runs.At(format)).AssertDone();

        var wandb = File.ReadAllLines(_runs.At("wandb-csv"));
        Assert.Equal(4, wandb.Length);
        Assert.StartsWith("name,config.head.kind,config.head.layers,", wandb[0], StringComparison.Ordinal);
        Assert.Contains(",summary.loss,", wandb[0], StringComparison.Ordinal);
        Assert.Contains(",summary.report.acceptanceLength.mean,", wandb[0], StringComparison.Ordinal);

        Assert.Equal(["cells-k1.csv", "seed0-control.csv", "seed0.csv"],
            Directory.GetFiles(_runs.At("trackio-csv")).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal));
        Assert.Equal(["step,seconds,loss,validationAccuracyAtDepth1", "1,1,,", "2,2,5,0.25"],
            File.ReadAllLines(_runs.At("trackio-csv", "seed0.csv"))[..3]);

        Assert.Equal("koala", Meta("1").GetProperty("name").GetString());
        var runs = Directory.GetDirectories(_runs.At("mlflow", "1")).Select(path => Path.GetFileName(path)).ToArray();
        Assert.Equal(3, runs.Length);
        var id = Assert.Single(runs, run => Meta("1", run).GetProperty("run_name").GetString() == "seed0");
        Assert.Matches("^[0-9a-f]{32}$", id);
        var meta = Meta("1", id);
        var started = DateTimeOffset.Parse("2026-11-23T10:15:00Z").ToUnixTimeMilliseconds();
        Assert.Equal((id, 3, started), (meta.GetProperty("run_id").GetString(), meta.GetProperty("status").GetInt32(),
            meta.GetProperty("start_time").GetInt64()));
        Assert.Equal(new Uri(_runs.At("seed0")).AbsoluteUri, meta.GetProperty("artifact_uri").GetString());
        string Read(params string[] parts) => File.ReadAllText(_runs.At(["mlflow", "1", id, .. parts]));
        Assert.Equal("kl", Read("params", "training.losses.0.name"));
        Assert.StartsWith($"{started + 2000} 5 2\n", Read("metrics", "loss"), StringComparison.Ordinal);
        Assert.StartsWith("1", Read("metrics", "report.speedup.median"), StringComparison.Ordinal);
        Assert.Equal("seed0", Read("tags", "mlflow.runName"));

        System.Text.Json.JsonElement Meta(params string[] parts) =>
            CommandRun.Parse(File.ReadAllText(_runs.At(["mlflow", .. parts, "meta.yaml"])));
    }

    /// <summary>The scripts of docs/runs.md read the files with pandas.</summary>
    [Fact]
    public void Pandas_reads_the_files_of_trackers()
    {
        foreach (var format in (string[])["wandb-csv", "trackio-csv"])
            CommandRun.Of("runs", "export", _runs.Path, "--where", "seed=0", "--format", format, "--out", _runs.At(format)).AssertDone();
        SystemPython.Run("pandas", "-c", """
            import sys, pandas as pd
            rows = {row["name"]: row for row in pd.read_csv(sys.argv[1]).to_dict("records")}
            part = lambda row, prefix: {k.removeprefix(prefix): v for k, v in row.items() if k.startswith(prefix) and pd.notna(v)}
            config, summary = part(rows["seed0"], "config."), part(rows["seed0"], "summary.")
            assert config["head.kind"] == "medusa" and config["head.layers"] == 2 and config["training.losses[0].name"] == "kl", config
            assert summary["loss"] == 2.5 and summary["report.speedup.median"] > 1, summary
            assert "report.speedup.median" not in part(rows["cells/k1"], "summary."), rows["cells/k1"]
            steps = pd.read_csv(sys.argv[2] + "/seed0.csv")
            assert list(steps["step"]) == [1, 2, 3, 4] and steps["step"].dtype.kind == "i", steps
            near = [abs(read - loss) < 1e-12 for read, loss in zip(steps["loss"][1:], [5, 10 / 3, 2.5])]
            assert pd.isna(steps["loss"][0]) and near == [True] * 3, steps
            """, _runs.At("wandb-csv"), _runs.At("trackio-csv"));
    }

    /// <summary>MLflow reads its store with a YAML library, and points of a metric as "time value step" in a line.</summary>
    [Fact]
    public void The_files_of_the_MLflow_store_are_YAML_with_the_types_that_it_expects()
    {
        CommandRun.Of("runs", "export", _runs.Path, "--where", "seed=0", "--format", "mlflow", "--out", _runs.At("mlflow")).AssertDone();
        SystemPython.Run("yaml", "-c", """
            import glob, os, sys, yaml
            experiment = yaml.safe_load(open(sys.argv[1] + "/1/meta.yaml"))
            assert experiment["experiment_id"] == "1" and experiment["name"] == "koala", experiment
            assert type(experiment["creation_time"]) is int, experiment
            runs = [os.path.dirname(path) for path in glob.glob(sys.argv[1] + "/1/*/meta.yaml")]
            assert len(runs) == 3
            for run in runs:
                meta = yaml.safe_load(open(run + "/meta.yaml"))
                assert meta["run_id"] == os.path.basename(run) == meta["run_uuid"], meta
                assert type(meta["start_time"]) is int and type(meta["status"]) is int and type(meta["experiment_id"]) is str, meta
                assert meta["artifact_uri"].startswith("file://") and meta["lifecycle_stage"] == "active" and meta["tags"] == [], meta
                for metric in os.listdir(run + "/metrics"):
                    for line in open(f"{run}/metrics/{metric}"):
                        time, value, step = line.split(" ")
                        assert int(time) >= meta["start_time"] and int(step) >= 0 and float(value) == float(value), (metric, line)
            """, _runs.At("mlflow"));
    }

    [Fact]
    public void A_page_is_written_of_a_run_of_a_report_and_of_a_folder()
    {
        _runs.Damage();
        var page = _runs.At("page.html");
        Assert.Equal($"{page}\n", CommandRun.Of("report", _runs.At("seed0"), "--out", page).AssertDone().Output);
        Assert.Contains("<h1>seed0</h1>", File.ReadAllText(page), StringComparison.Ordinal);
        CommandRun.Of("report", SampleRuns.Report, "--out", page).AssertDone();
        Assert.Contains("<h1>koala-mini-eagle-k2 on koala-mini</h1>", File.ReadAllText(page), StringComparison.Ordinal);
        var folder = CommandRun.Of("report", _runs.Path).AssertDone();
        Assert.Equal(3, folder.Error.Split("left out: ").Length - 1);
        Assert.Equal(Path.Combine(_runs.Path, "report.html"), folder.Output.TrimEnd());
        Assert.Contains("has format version 9", File.ReadAllText(_runs.At("report.html")), StringComparison.Ordinal);
    }

    public void Dispose() => _runs.Dispose();
}
