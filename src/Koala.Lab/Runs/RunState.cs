namespace Koala.Lab.Runs;

/// <summary>How far a run is.</summary>
public enum RunState
{
    /// <summary>A process works on it.</summary>
    Running,

    /// <summary>It did what it was to do.</summary>
    Finished,

    /// <summary>It was stopped, its state saved.</summary>
    Interrupted,

    /// <summary>An error ended it; <see cref="RunRecord.Failure"/> says which.</summary>
    Failed,

    /// <summary>Its process is gone without a word: killed, or the machine went down. Seen by readers, written by none.</summary>
    Died,
}
