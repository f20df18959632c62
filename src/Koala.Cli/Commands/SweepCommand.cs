using System.CommandLine;
using Koala.Cli.Options;
using Koala.Cli.Output;
using Koala.Lab;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Sweeps;

namespace Koala.Cli.Commands;

/// <summary>
/// <c>koala sweep</c>: trains and evaluates the heads of a grid or a list of options in one folder, which several processes and machines
/// can share. The same command goes on where it stopped.
/// </summary>
internal sealed class SweepCommand
{
    private const string Sweeps = "sweeps";

    private readonly Streams _streams;
    private readonly Argument<string> _plan = SharedOptions.PathArgument("plan",
        "The file of the plan (JSON). Without it the options below are the plan.");
    private readonly ModelOptions _model = new();
    private readonly SweepOptions _options;
    private readonly Option<string?> _out = SharedOptions.Text("--out", "FOLDER",
        $"The folder of the sweep. Default: the plan's name under {Sweeps}, so that the same command goes on.");
    private readonly Option<int> _processes = SharedOptions.Integer("--processes",
        "The number of processes on this machine that work on the sweep; on a GPU they share the first one.", () => 1);
    private readonly Option<string?> _devices = SharedOptions.Text("--devices", "LIST",
        "The GPUs of this machine that work on the sweep, by their numbers, with a process for each: 0,1,2,3, or 0,0 for two "
        + "on one GPU.");
    private readonly Option<string?> _shard = SharedOptions.Text("--shard", "I/N",
        "Work on the I-th of N parts of the cells only. Default: what a Slurm array or a launcher such as torchrun sets; "
        + "otherwise all cells.");
    private readonly Option<bool> _repeatDisturbed = SharedOptions.Flag("--repeat-disturbed",
        "Measure again what other work disturbed.");
    private readonly Option<bool> _worker = SharedOptions.Flag("--worker", "End when standard input ends, and print no summary.");
    private readonly Option<bool> _json = SharedOptions.Json();
    private readonly Option<bool> _quiet = SharedOptions.Quiet();

    private SweepCommand(Streams streams)
    {
        _streams = streams;
        _options = new SweepOptions(streams);
        _plan.Arity = ArgumentArity.ZeroOrOne;
        // For the processes that this command starts.
        _worker.Hidden = true;
    }

    public static Command Create(Streams streams)
    {
        var self = new SweepCommand(streams);
        var command = new Command("sweep",
            "Train and evaluate heads over grids and lists of options, and go on where it stopped. "
            + "A LIST is values separated by commas, or a range of whole numbers such as 0-4. Options that are not given have the "
            + "defaults of koala train and koala evaluate.");
        command.Arguments.Add(self._plan);
        self._model.AddTo(command);
        command.AddOptions(self._options.All);
        command.AddOptions(self._out, self._processes, self._devices, self._shard, self._repeatDisturbed, self._worker);
        command.AddOptions(self._json, self._quiet);
        command.SetAction(self.Run);
        return command;
    }

    private int Run(ParseResult result)
    {
        CheckCombination(result);
        var shard = Shard.Find(result.GetValue(_shard), Environment.GetEnvironmentVariable);
        if (shard is { Origin: not "--shard" })
            Note(result, $"shard {shard.Index} of {shard.Count}, from {shard.Origin}; --shard 1/1 works on all cells");
        var (sweep, devices) = Open(result);
        Note(result, $"sweep: {PathText.Relative(sweep.Folder)}\n{sweep.Plan}\nthreads: {sweep.Threads}");

        if (result.GetValue(_repeatDisturbed) && sweep.RemoveDisturbedReports() is > 0 and var again)
            Note(result, $"measuring {again} evaluations again, which other work disturbed");
        var isWorker = result.GetValue(_worker);
        using var interruption = new Interruption(
            isWorker ? _streams with { Cancel = SweepProcesses.EndOfParent(_streams.Input) } : _streams);
        var exitCode = ExitCodes.Done;
        try
        {
            var progress = new SweepProgressText(sweep, _streams);
            progress.Run(result.GetValue(_quiet), () => exitCode = devices is [null]
                ? RunHere(result, sweep, shard, progress, interruption.Token)
                : RunProcesses(result, sweep, devices, interruption.Token));
            interruption.Token.ThrowIfCancellationRequested();
        }
        catch (OperationCanceledException)
        {
            if (!isWorker) _streams.Error.WriteLine($"interrupted: all that is done is saved. Go on with: {AsTyped(result)}");
            return ExitCodes.Interrupted;
        }
        return isWorker || exitCode > ExitCodes.CheckFailed ? exitCode : Finish(result, sweep, exitCode);
    }

    private (Sweep Sweep, int?[] Devices) Open(ParseResult result)
    {
        // A sweep that has begun needs its folder only.
        if (result.GetValue(_plan) is null && result.FirstGiven(OfPlan) is null
            && result.GetValue(_out) is { } begun && Sweep.Exists(begun))
        {
            var sweep = Sweep.Load(begun);
            return (sweep, ProcessesOf(result, sweep.Plan));
        }
        var plan = ReadPlan(result);
        var devices = ProcessesOf(result, plan);
        return (Sweep.CreateOrLoad(result.GetValue(_out) ?? DefaultFolder(result, plan), plan, devices.Length), devices);
    }

    private int RunHere(ParseResult result, Sweep sweep, Shard? shard, SweepProgressText progress, CancellationToken cancel)
    {
        using var runner = new SweepRunner(sweep, shard?.Of(sweep.Plan.Cells), [.. result.Tokens.Select(token => token.Value)])
        {
            Limits = _streams.Limits,
            Failures = progress.Write,
            Notes = result.GetValue(_quiet) ? null : progress.Write,
        };
        return runner.Run(cancel) == 0 ? ExitCodes.Done : ExitCodes.CheckFailed;
    }

    private int RunProcesses(ParseResult result, Sweep sweep, int?[] devices, CancellationToken cancel)
    {
        string[] shard = result.GetValue(_shard) is { } given ? ["--shard", given] : [];
        using var processes = SweepProcesses.Start(["sweep", "--out", sweep.Folder, "--worker", "--quiet", .. shard], devices);
        var exitCodes = processes.Wait(cancel);
        var killed = exitCodes.Count(code => code > ExitCodes.Interrupted);
        if (killed > 0) _streams.Error.WriteLine($"{killed} of {exitCodes.Count} processes were killed");
        return exitCodes.Where(code => code <= ExitCodes.Interrupted).DefaultIfEmpty(ExitCodes.CheckFailed).Max();
    }

    private int Finish(ParseResult result, Sweep sweep, int exitCode)
    {
        var summary = sweep.Summarize();
        foreach (var (name, text) in SweepFiles.Create(sweep, summary)) AtomicFile.WriteText(Path.Combine(sweep.Folder, name), text);
        _streams.WriteResult(summary, result.GetValue(_json));
        var open = sweep.ReadStatus().Count(cell => cell.State is not (CellState.Finished or CellState.Failed));
        if (open > 0)
            Note(result, $"{open} cells are not finished; go on with: {CommandName.AsTyped} sweep --out {PathText.Relative(sweep.Folder)}");
        Note(result, $"summary and figures: {PathText.Relative(sweep.Folder)}");
        return Math.Max(exitCode, ExitCodeOf(sweep, summary));
    }

    // What a single evaluation would exit with.
    private int ExitCodeOf(Sweep sweep, SweepSummary summary)
    {
        var disturbed = summary.Rows.Sum(row => row.Disturbed);
        if (disturbed > 0)
        {
            _streams.Error.WriteLine($"other work disturbed {disturbed} evaluations, so their speeds are missing. "
                + "To measure them again, repeat the command with --repeat-disturbed");
        }
        // On a GPU in bf16 near-ties are common, and the reports count them.
        var exact = sweep.Plan is { Device: "cpu" } or { Dtype: "fp32" };
        var different = exact ? summary.Rows.Count(row => row.Lossless == false) : 0;
        if (different > 0) _streams.Error.WriteLine($"not lossless: {different} rows have answers that differ from the target's own");
        return disturbed + different + summary.Failed.Count == 0 ? ExitCodes.Done : ExitCodes.CheckFailed;
    }

    private IEnumerable<Option> OfPlan => [.. _options.All, _model.Target, _model.Dtype, _model.Device, _model.Threads];

    private SweepPlan ReadPlan(ParseResult result)
    {
        if (result.GetValue(_plan) is { } file) return SweepPlan.Load(file);
        if (result.FirstGiven(OfPlan) is null)
            throw new KoalaException("PLAN", "is missing", "name the file of a plan, or give the plan as options, such as --layers 1,2");
        var fields = _options.Read(result);
        fields["target"] = result.GetValue(_model.Target);
        fields["dtype"] = result.GetValue(_model.Dtype);
        fields["device"] = result.Has(_devices) ? "cuda" : result.GetValue(_model.Device);
        fields["threads"] = result.GetValue(_model.Threads);
        return SweepPlan.Create(fields);
    }

    private int?[] ProcessesOf(ParseResult result, SweepPlan plan)
    {
        if (result.GetValue(_devices) is { } text)
        {
            if (plan.Device != "cuda")
            {
                throw new KoalaException("--devices", $"names GPUs, but the plan's device is {plan.Device}",
                    "set the plan's device to cuda");
            }
            return SweepProcesses.ReadDevices(text);
        }
        return result.GetValue(_processes) switch
        {
            < 1 or > 256 => throw new KoalaException("--processes", $"is {result.GetValue(_processes)}, but there are 1 to 256 processes",
                "set it to 1 or more"),
            var count => new int?[count],
        };
    }

    private string DefaultFolder(ParseResult result, SweepPlan plan) =>
        Path.Combine(Sweeps, result.GetValue(_plan) is { } file ? Path.GetFileNameWithoutExtension(file) : plan.Hash[..12]);

    private void CheckCombination(ParseResult result)
    {
        if (result.GetValue(_plan) is not null && result.FirstGiven(OfPlan) is { } given)
        {
            throw new KoalaException(given.Name, "belongs to a plan that is given as options, but PLAN is given too",
                "put it into the file, or leave the file out");
        }
        if (!SweepProcesses.CanStart && result.FirstGiven(_processes, _devices) is { } ofProcesses)
        {
            throw new KoalaException(ofProcesses.Name, "would start the program koala, which this package does not have",
                "leave it out, or run the sweep by the program");
        }
        if (result.Has(_devices) && result.Has(_processes))
        {
            throw new KoalaException("--processes", "is given together with --devices, which starts a process for each GPU",
                "leave it out");
        }
    }

    private static string AsTyped(ParseResult result)
    {
        var arguments = result.Tokens.Select(token => token.Value.Contains(' ') ? $"\"{token.Value}\"" : token.Value);
        return $"{CommandName.AsTyped} {string.Join(' ', arguments)}";
    }

    private void Note(ParseResult result, string line)
    {
        if (!result.GetValue(_quiet)) _streams.Error.WriteLine(line);
    }
}
