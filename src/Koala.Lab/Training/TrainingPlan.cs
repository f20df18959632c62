using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;
using Koala.Lab.Runtime;
using Koala.Lab.Targets;
using TorchSharp;

namespace Koala.Lab.Training;

/// <summary>
/// A request together with the target and the data of the run. run.json stores it, and resuming the run needs it.
/// </summary>
/// <remarks>
/// The only public constructor takes a loaded target and loaded data, so that a plan describes what was really loaded.
/// </remarks>
public sealed record TrainingPlan : TrainingRequest
{
    /// <param name="request">The request.</param>
    /// <param name="target">The loaded target. The caller owns it.</param>
    /// <param name="data">The data, loaded from the files of <paramref name="request"/>.</param>
    /// <exception cref="KoalaException">The answers in the data are too short for the head.</exception>
    [SetsRequiredMembers]
    public TrainingPlan(TrainingRequest request, Target target, TrainingData data) : base(request)
    {
        // The paths are full, since a run can be resumed from any folder. A path into the hub's cache also holds the
        // commit.
        Data = Path.GetFullPath(request.Data);
        Validation = request.Validation is { } validation ? Path.GetFullPath(validation) : null;
        Target = Path.GetFullPath(target.Path);
        Dtype = Dtypes.Name(target.WeightDtype);
        Device = Devices.Name(target.Device);
        Threads = torch.get_num_threads();
        TargetIdentity = target.Identity;
        DataHash = data.Hash;
        Training = request.Training with { RowLength = data.RowLength };
        data.CheckFor(request.Data, request.Head);
    }

    // This constructor reads run.json, which must hold every required member.
    [JsonConstructor]
    private TrainingPlan()
    {
    }

    /// <summary>The folder or file of the target.</summary>
    [JsonPropertyOrder(1)]
    public required string Target { get; init; }

    /// <summary>The target's dtype, fp32 or bf16. The head's weights are fp32 during training.</summary>
    [JsonPropertyOrder(1)]
    public required string Dtype { get; init; }

    /// <summary>The device, cpu or cuda.</summary>
    [JsonPropertyOrder(1)]
    public required string Device { get; init; }

    /// <summary>
    /// The number of threads of a CPU operation. Sums that are split into another number of parts round differently, so
    /// a resumed run uses the same number.
    /// </summary>
    [JsonPropertyOrder(1)]
    public required int Threads { get; init; }

    /// <summary>The identity of the target when the run began.</summary>
    [JsonPropertyOrder(1)]
    public required TargetIdentity TargetIdentity { get; init; }

    /// <summary>The hash of the data and of the tokenizer that was applied to it.</summary>
    [JsonPropertyOrder(1)]
    public required string DataHash { get; init; }

    /// <summary>The plan of a control, which differs in the adversary and in the loss that takes its place.</summary>
    /// <param name="name">One of <see cref="TrainingControls.Names"/>.</param>
    /// <exception cref="KoalaException">There is no such control.</exception>
    public TrainingPlan ControlOf(string name) => this with { WithControls = [], Training = TrainingControls.Create(name, Training) };
}
