using System.CommandLine;
using Koala.Cli.Options;
using Koala.Cli.Output;
using Koala.Lab.Results;

namespace Koala.Cli.Commands.Runs;

/// <summary><c>koala runs</c>: lists runs, and exports them.</summary>
internal static class RunsCommand
{
    public static Command Create(Streams streams)
    {
        var options = new RunSelection();
        var json = SharedOptions.Json();
        var command = new Command("runs", "List runs: filter them by any field, sort them, and export them for other tools.");
        options.AddTo(command);
        command.AddOptions(json);
        command.Subcommands.Add(ExportCommand.Create(streams));
        command.SetAction(result =>
        {
            var runs = options.Read(result);
            var columns = options.ReadColumns(result);
            streams.Cell?.SetValue(columns is null ? runs : runs.ToTable(columns), isPrinted: result.GetValue(json));
            if (result.GetValue(json)) streams.Output.WriteLine(JsonOutput.Document(RunList.Create(runs, columns)));
            else Print(streams, runs, columns, options.FolderNames(result));
            return ExitCodes.Done;
        });
        return command;
    }

    private static void Print(Streams streams, RunTable runs, IReadOnlyList<string>? columns, string folder)
    {
        // Runs without a report need no columns for its figures. Columns that the user chose stay.
        var table = columns is null ? runs.ToTable().WithoutEmptyColumns() : runs.ToTable(columns);
        if (table.Rows.Count > 0 && streams.Cell is null) TableText.Write(streams, table);
        else if (table.Rows.Count == 0) streams.Error.WriteLine($"no runs in {folder}");
        foreach (var damaged in runs.Damaged) streams.Error.WriteLine($"damaged: {damaged.Name}: {damaged.Fault}");
    }
}
