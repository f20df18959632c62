namespace Koala.Lab.Heads.Published;

/// <summary>A format in which other projects load a head.</summary>
public enum ExportFormat
{
    /// <summary>EAGLE-3 for vLLM, with a config in its own keys.</summary>
    VllmEagle3,

    /// <summary>EAGLE-3 of the speculators library, which vLLM loads too.</summary>
    Speculators,

    /// <summary>Medusa for vLLM.</summary>
    VllmMedusa,

    /// <summary>EAGLE-3 for SGLang, with the names of SafeAILab/EAGLE; one layer.</summary>
    SglangEagle3,

    /// <summary>Medusa as in FasterDecoding/Medusa.</summary>
    Medusa,

    /// <summary>EAGLE and EAGLE-2 as in SafeAILab/EAGLE, which vLLM loads too.</summary>
    Eagle,
}
