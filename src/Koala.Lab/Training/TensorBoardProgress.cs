using Koala.Lab.Runs;
using TorchSharp;
using TorchSharp.Modules;

namespace Koala.Lab.Training;

/// <summary>
/// Writes the metrics of a training run, and of its control, as TensorBoard's event files into <see cref="RunFolder.TensorBoardFolder"/>.
/// Pass it as the progress of <see cref="TrainingRun.Start"/> or <see cref="TrainingRun.Resume"/>.
/// </summary>
/// <remarks>
/// An event file only grows, so it cannot forget the steps that a killed run had done after its last saved state. Therefore a run that
/// continues gets a new file with all steps of metrics.jsonl, which has each step once.
/// </remarks>
/// <param name="begin">
/// Whether a run without event files gets them. If false, only a run that has them goes on with them.
/// </param>
/// <param name="next">This receives every report as well; null means nobody.</param>
public sealed class TensorBoardProgress(bool begin = true, IProgress<TrainingProgress>? next = null) : IProgress<TrainingProgress>
{
    private string? _path;
    private DateTimeOffset _started;
    private SummaryWriter? _writer;

    /// <summary>Writes the metrics of a step.</summary>
    /// <exception cref="KoalaException">The file cannot be written.</exception>
    public void Report(TrainingProgress value)
    {
        ArgumentNullException.ThrowIfNull(value);
        try
        {
            // The control is a run of its own, which begins after the run.
            if (value.Folder.Path != _path) Open(value.Folder);
            else Write(value.Metrics.Step, value.Metrics.Values);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KoalaException(value.Folder.TensorBoardFolder, $"cannot be written ({e.Message.TrimEnd('.')})",
                "free space, or make the folder writable", e);
        }
        next?.Report(value);
    }

    // The step that is reported is in metrics.jsonl already.
    private void Open(RunFolder folder)
    {
        _path = folder.Path;
        _writer = null;
        if (!begin && !Directory.Exists(folder.TensorBoardFolder)) return;
        if (Directory.Exists(folder.TensorBoardFolder)) Directory.Delete(folder.TensorBoardFolder, recursive: true);
        _started = folder.ReadRecord().Started;
        _writer = torch.utils.tensorboard.SummaryWriter(folder.TensorBoardFolder, createRunName: false);
        foreach (var line in MetricsLog.Read(folder.MetricsFile)) Write(line.Step, line.Values);
    }

    private void Write(int step, IEnumerable<KeyValuePair<string, double>> values)
    {
        if (_writer is null) return;
        KeyValuePair<string, double>[] all = [.. values];
        // The time of a step is the same when it is written again: the start of the run and the seconds of training.
        var time = _started.AddSeconds(all.FirstOrDefault(value => value.Key == "seconds").Value).ToUnixTimeSeconds();
        foreach (var (name, value) in all)
            if (double.IsFinite(value)) _writer.add_scalar(name, (float)value, step, time);
    }
}
