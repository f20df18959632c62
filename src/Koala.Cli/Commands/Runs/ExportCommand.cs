using System.CommandLine;
using Koala.Cli.Export;
using Koala.Cli.Options;
using Koala.Lab;
using Koala.Lab.Results;
using Koala.Lab.Runtime.Files;

namespace Koala.Cli.Commands.Runs;

/// <summary><c>koala runs export</c>: writes runs as files that other tools read.</summary>
internal sealed class ExportCommand
{
    private readonly Streams _streams;
    private readonly RunSelection _runs = new();
    private readonly Option<string> _format = SharedOptions.OptionalChoice("--format",
        "csv and parquet: a table. wandb-csv: a row per run with its configuration and summary, for Weights & Biases. trackio-csv: a "
        + "folder with a file per run, for Trackio. mlflow: a folder that MLflow opens as its store.",
        "csv", "parquet", "wandb-csv", "trackio-csv", "mlflow");
    private readonly Option<string> _rows = SharedOptions.Choice("--rows", "With csv and parquet: a row per run, per step of the training, "
        + "or per answer of the newest report.", () => "runs", "runs", "steps", "answers");
    private readonly Option<string?> _out = SharedOptions.Text("--out", "PATH", "The file or folder to write, which must not exist yet.");

    private ExportCommand(Streams streams) => _streams = streams;

    public static Command Create(Streams streams)
    {
        var self = new ExportCommand(streams);
        var command = new Command("export", "Write runs as files that other tools read.");
        self._runs.AddTo(command);
        self._format.Required = true;
        self._out.Required = true;
        command.AddOptions(self._format, self._rows, self._out);
        command.SetAction(self.Run);
        return command;
    }

    private int Run(ParseResult result)
    {
        var (format, path) = (result.GetValue(_format)!, result.GetValue(_out)!);
        var isTable = format is "csv" or "parquet";
        if (!isTable && result.FirstGiven(_rows, _runs.Columns) is { } given)
            throw new KoalaException(given.Name, $"is for csv and parquet, but --format is {format}", "leave it out");
        var rows = result.GetValue(_rows)!;
        if (rows != "runs" && result.Has(_runs.Columns))
            throw new KoalaException(_runs.Columns.Name, $"chooses fields of runs, but --rows is {rows}", "leave it out");
        if (Path.Exists(path)) throw new KoalaException(path, "exists already", $"choose another {_out.Name}, or remove it");
        var runs = _runs.Read(result);
        if (runs.Rows.Count == 0)
        {
            throw new KoalaException(_runs.FolderNames(result), "has no runs to export",
                "name a folder that contains runs, or change --where");
        }
        foreach (var damaged in runs.Damaged) _streams.Error.WriteLine($"left out: {damaged.Name}: {damaged.Fault}");
        switch (format)
        {
            case "wandb-csv": AtomicFile.WriteText(path, WandbCsv.Render(runs)); break;
            case "trackio-csv": NewFolder.Write(path, folder => TrackioCsv.Write(runs, folder)); break;
            case "mlflow": NewFolder.Write(path, folder => MlflowStore.Write(runs, folder, Path.GetFullPath(path))); break;
            default: WriteTable(format, path, TableOf(rows, runs, _runs.ReadColumns(result))); break;
        }
        _streams.Error.WriteLine($"{runs.Rows.Count} runs: {path}");
        return ExitCodes.Done;
    }

    private static ResultTable TableOf(string rows, RunTable runs, IReadOnlyList<string>? columns) => rows switch
    {
        "steps" => runs.ToSteps(),
        "answers" => runs.ToAnswers(),
        _ => runs.ToTable(columns),
    };

    private static void WriteTable(string format, string path, ResultTable table)
    {
        if (table.Rows.Count == 0)
            throw new KoalaException(path, "would have no rows", "choose other --rows, or runs whose reports have answers");
        if (format == "csv") AtomicFile.WriteText(path, Csv.Render(table));
        else AtomicFile.Write(path, stream => ParquetFile.Write(table, stream));
    }
}
