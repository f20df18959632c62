using System.Globalization;
using System.Text.Json.Serialization;
using Koala.Lab.Runs;
using Koala.Lab.Runtime;
using Koala.Lab.Runtime.Machine;
using Koala.Lab.Targets;
using TorchSharp;

namespace Koala.Lab.Evaluation;

/// <summary>The circumstances under which the figures of a report hold: what was measured, on which device, and how.</summary>
/// <remarks>
/// The reports derive from this record, so in JSON its fields stand beside theirs: the provenance last, the others first.
/// </remarks>
public record Circumstances
{
    /// <summary>Serves reports that are read from JSON, where every field without a default is required.</summary>
    protected Circumstances()
    {
    }

    /// <summary>The target's name.</summary>
    [JsonRequired, JsonPropertyOrder(-1)]
    public string Target { get; init; } = "";

    /// <summary>The name of the draft source: the head's folder, prompt-lookup, or the draft model.</summary>
    [JsonRequired, JsonPropertyOrder(-1)]
    public string Head { get; init; } = "";

    /// <summary>cpu or cuda.</summary>
    [JsonRequired, JsonPropertyOrder(-1)]
    public string Device { get; init; } = "";

    /// <summary>fp32 or bf16.</summary>
    [JsonRequired, JsonPropertyOrder(-1)]
    public string Dtype { get; init; } = "";

    /// <summary>
    /// int8 if the target's matrices were rounded to it (<see cref="Targets.Target.Weights"/>); the answers are then those of the rounded
    /// target. Null if they were not, and in reports that are older than this field.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull), JsonPropertyOrder(-1)]
    public string? Weights { get; init; }

    /// <summary>The number of threads of a CPU operation.</summary>
    [JsonRequired, JsonPropertyOrder(-1)]
    public int Threads { get; init; }

    /// <summary>
    /// What computed the target's steps on a GPU: persistent or fused (kernels of Koala's own), or plain (libtorch). Null on a CPU and in
    /// reports that are older than this field.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull), JsonPropertyOrder(-1)]
    public string? Kernels { get; init; }

    /// <summary>The sampling temperature; 0 is greedy.</summary>
    [JsonRequired, JsonPropertyOrder(-1)]
    public virtual double Temperature { get; init; }

    /// <summary>The number of prompts answered in a batch.</summary>
    [JsonPropertyOrder(-1)]
    public virtual int Batch { get; init; } = 1;

    /// <summary>
    /// Whether other work on the machine disturbed the measurement; the report then has no speeds. Null in reports that are older than
    /// this field.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull), JsonPropertyOrder(-1)]
    public bool? Disturbed => Disturbances is null ? null : Disturbances.Count > 0;

    /// <summary>What showed that the measurement was disturbed, in sentences; empty if nothing did.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull), JsonPropertyOrder(-1)]
    public IReadOnlyList<string>? Disturbances { get; init; }

    /// <summary>How busy the machine was with other work.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull), JsonPropertyOrder(-1)]
    public MachineLoad? Load { get; init; }

    /// <summary>The command, the commit and the machine; null where they were not recorded.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull), JsonPropertyOrder(1)]
    public Provenance? Provenance { get; init; }

    /// <summary>The device, the dtype, the threads, the temperature, and the batch size where it is not 1.</summary>
    internal string Setup => string.Create(CultureInfo.InvariantCulture,
        $"{Device}, {Dtype}, {Named("weights", Weights)}{Named("kernels", Kernels)}{Threads} threads, temperature {Temperature}")
        + (Batch == 1 ? "" : string.Create(CultureInfo.InvariantCulture, $", batch size {Batch}"));

    private static string Named(string name, string? value) => value is null ? "" : $"{name}: {value}, ";

    /// <summary>The circumstances in one line.</summary>
    public override string ToString() => $"{Head} on {Target}, {Setup}";

    /// <summary>The circumstances of a measurement in this process.</summary>
    /// <param name="target">The target, on its device.</param>
    /// <param name="head">The name of the drafter in the report.</param>
    /// <param name="temperature">The sampling temperature; 0 is greedy.</param>
    /// <param name="batch">The number of prompts answered in a batch.</param>
    public static Circumstances Create(Target target, string head, double temperature = 0, int batch = 1) => new()
    {
        Target = target.Name,
        Head = head,
        Device = Devices.Name(target.Device),
        Dtype = Dtypes.Name(target.WeightDtype),
        Weights = target.Weights,
        Kernels = target.Model.Kernels,
        Threads = torch.get_num_threads(),
        Temperature = temperature,
        Batch = batch,
    };
}
