namespace Koala.Lab.Targets.Fused;

/// <summary>How a step is launched. The forms compute the same bits, so the fastest is chosen by measuring.</summary>
internal enum StepForm
{
    /// <summary>One launch, whose blocks wait for each other between the phases of the layers.</summary>
    Persistent,

    /// <summary>One launch for each phase, captured in a CUDA graph.</summary>
    Fused,
}
