using System.Globalization;
using System.Text.Json.Serialization;
using Koala.Lab.Runs;
using Koala.Lab.Runtime;
using Koala.Lab.Targets;
using TorchSharp;

namespace Koala.Lab.Evaluation;

/// <summary>What the figures of a report hold for: what was measured, on what, and how.</summary>
/// <remarks>The reports derive from it, so in JSON its fields stand beside theirs: the provenance after, the others before them.</remarks>
public record Circumstances
{
    /// <summary>For a report that is read from JSON, where every field that has no default is required.</summary>
    protected Circumstances()
    {
    }

    /// <summary>The target's name.</summary>
    [JsonRequired, JsonPropertyOrder(-1)]
    public string Target { get; init; } = "";

    /// <summary>The name of what drafts: the head's folder, prompt-lookup, or the draft model.</summary>
    [JsonRequired, JsonPropertyOrder(-1)]
    public string Head { get; init; } = "";

    /// <summary>cpu or cuda.</summary>
    [JsonRequired, JsonPropertyOrder(-1)]
    public string Device { get; init; } = "";

    /// <summary>fp32 or bf16.</summary>
    [JsonRequired, JsonPropertyOrder(-1)]
    public string Dtype { get; init; } = "";

    /// <summary>Threads of a CPU operation.</summary>
    [JsonRequired, JsonPropertyOrder(-1)]
    public int Threads { get; init; }

    /// <summary>Sampling temperature; 0 is greedy.</summary>
    [JsonRequired, JsonPropertyOrder(-1)]
    public virtual double Temperature { get; init; }

    /// <summary>Prompts answered side by side.</summary>
    [JsonPropertyOrder(-1)]
    public virtual int Batch { get; init; } = 1;

    /// <summary>The command, the commit and the machine; null where nobody noted them.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull), JsonPropertyOrder(1)]
    public Provenance? Provenance { get; init; }

    /// <summary>On what and how, without what was measured: device, dtype, threads, temperature, and the batch where it is not 1.</summary>
    internal string Setup => string.Create(CultureInfo.InvariantCulture,
        $"{Device}, {Dtype}, {Threads} threads, temperature {Temperature}{(Batch == 1 ? "" : $", {Batch} prompts side by side")}");

    /// <summary>What was measured, on what and how, in one line.</summary>
    public override string ToString() => $"{Head} on {Target}, {Setup}";

    /// <summary>The circumstances of a measurement in this process.</summary>
    /// <param name="target">The target, on its device.</param>
    /// <param name="head">What the report calls the drafter.</param>
    /// <param name="temperature">Sampling temperature; 0 is greedy.</param>
    /// <param name="batch">Prompts answered side by side.</param>
    public static Circumstances Create(Target target, string head, double temperature = 0, int batch = 1) => new()
    {
        Target = target.Name,
        Head = head,
        Device = Devices.Name(target.Device),
        Dtype = Dtypes.Name(target.Dtype),
        Threads = torch.get_num_threads(),
        Temperature = temperature,
        Batch = batch,
    };
}
