namespace Koala.Lab.Runs;

/// <summary>The state of a run.</summary>
public enum RunState
{
    /// <summary>A process is working on the run.</summary>
    Running,

    /// <summary>The run did all its work.</summary>
    Finished,

    /// <summary>The run was stopped, and its state was saved.</summary>
    Interrupted,

    /// <summary>An error ended the run; <see cref="RunRecord.Failure"/> describes it.</summary>
    Failed,

    /// <summary>
    /// The process ended without recording it: it was killed, or the machine went down. Readers report this state; no run writes it.
    /// </summary>
    Died,
}
