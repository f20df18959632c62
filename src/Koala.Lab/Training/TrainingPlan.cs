using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;
using Koala.Lab.Runtime;
using Koala.Lab.Targets;
using TorchSharp;

namespace Koala.Lab.Training;

/// <summary>A request with the target and the data of the run, as run.json keeps it: what resuming it needs.</summary>
/// <remarks>Its only constructor takes a loaded target and loaded data, so that every plan says what they really are.</remarks>
public sealed record TrainingPlan : TrainingRequest
{
    /// <param name="request">What is asked for.</param>
    /// <param name="target">Loaded; it remains the caller's.</param>
    /// <param name="data">Loaded from the files of <paramref name="request"/>.</param>
    [SetsRequiredMembers]
    public TrainingPlan(TrainingRequest request, Target target, TrainingData data) : base(request)
    {
        // Full paths: a run is resumed from any folder. A path into the hub's cache also holds the commit.
        Data = Path.GetFullPath(request.Data);
        Validation = request.Validation is { } validation ? Path.GetFullPath(validation) : null;
        Target = Path.GetFullPath(target.Path);
        Dtype = Dtypes.Name(target.Dtype);
        Device = Devices.Name(target.Device);
        Threads = torch.get_num_threads();
        TargetIdentity = target.Identity;
        DataHash = data.Hash;
    }

    // For run.json, which has to hold every required member.
    [JsonConstructor]
    private TrainingPlan()
    {
    }

    /// <summary>The target's folder or file.</summary>
    [JsonPropertyOrder(1)]
    public required string Target { get; init; }

    /// <summary>fp32 or bf16: the target's dtype. The head's weights are fp32 while they are trained.</summary>
    [JsonPropertyOrder(1)]
    public required string Dtype { get; init; }

    /// <summary>cpu or cuda.</summary>
    [JsonPropertyOrder(1)]
    public required string Device { get; init; }

    /// <summary>Threads of a CPU operation; sums in other numbers of parts round otherwise, so a resumed run takes the same.</summary>
    [JsonPropertyOrder(1)]
    public required int Threads { get; init; }

    /// <summary>What the target was when the run began.</summary>
    [JsonPropertyOrder(1)]
    public required TargetIdentity TargetIdentity { get; init; }

    /// <summary>Of the data and the tokenizer behind it.</summary>
    [JsonPropertyOrder(1)]
    public required string DataHash { get; init; }

    /// <summary>The same training without the adversary: same seed, same data order.</summary>
    [JsonIgnore]
    public TrainingPlan Control => this with { WithControl = false, Training = Training with { Adversary = Training.Adversary with { Weight = 0 } } };
}
