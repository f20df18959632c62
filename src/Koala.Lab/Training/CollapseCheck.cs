using Koala.Lab.Adversary;
using Koala.Lab.Runs;

namespace Koala.Lab.Training;

/// <summary>
/// Ends a run with an adversary when the head gets much worse on held-out rows: the game has collapsed. The last state in
/// which it had not is kept apart from the others.
/// </summary>
internal sealed class CollapseCheck
{
    private const string Tau = "validationTauTeacherForced";

    // Of the best number of accepted tokens per round so far. Noise between validations is far smaller.
    private const double Share = 0.7;

    // Before a head has accepted so many tokens per round it has nothing to lose.
    private const double LeastAccepted = 0.05;

    private readonly CheckpointStore _lastGood;
    private double _best = 1;
    private int _bestStep;

    /// <param name="folder">The run.</param>
    /// <param name="before">The metrics of the steps before the run was resumed.</param>
    public CollapseCheck(RunFolder folder, IReadOnlyList<MetricsLine> before)
    {
        _lastGood = new CheckpointStore(folder.LastGoodFolder);
        foreach (var line in before)
            if (line.Values.TryGetValue(Tau, out var tau)) Remember(line.Step, tau);
    }

    /// <summary>Adds a step. If it is as good as the best so far, its state is kept.</summary>
    /// <param name="metrics">The metrics of the step.</param>
    /// <param name="save">Writes the state into a folder.</param>
    /// <param name="restore">Gets the folder of the best state if the game has collapsed, and saves its head.</param>
    /// <exception cref="KoalaException">The head has got much worse.</exception>
    public void Add(StepMetrics metrics, Action<string> save, Action<string> restore)
    {
        if (metrics.ValidationTauTeacherForced is not { } tau || double.IsNaN(tau)) return;
        if (_best - 1 >= LeastAccepted && tau - 1 < Share * (_best - 1)) throw Collapsed(metrics.Step, tau, restore);
        if (Remember(metrics.Step, tau)) _lastGood.Save(metrics.Step, save);
    }

    private KoalaException Collapsed(int step, double tau, Action<string> restore)
    {
        var kept = _lastGood.Latest();
        if (kept is not null) restore(kept.Folder);
        return new KoalaException($"step {step}",
            $"the adversarial game has collapsed: the held-out acceptance length fell from {_best:F2} at step {_bestStep} to {tau:F2}"
            + (kept is null ? "" : $"; the run's head is that of step {kept.Step}"),
            $"start a new run with a lower {new OptionName(AdversaryOptions.WeightOption)}");
    }

    private bool Remember(int step, double tau)
    {
        if (!(tau >= _best)) return false;
        (_best, _bestStep) = (tau, step);
        return true;
    }
}
