using System.CommandLine;
using Koala.Lab;
using Koala.Lab.Runtime.Native;
using Koala.Lab.Targets;
using TorchSharp;

namespace Koala.Cli.Options;

/// <summary>
/// The target, its dtype, its device and the number of threads: <c>--target --dtype --device --threads</c>.
/// </summary>
internal sealed class ModelOptions
{
    public Option<string?> Target { get; } = SharedOptions.Text("--target", "PATH",
        "The target: a Hugging Face folder, a GGUF file, or the name of a model that koala pull has downloaded (org/name).");

    public Option<string> Dtype { get; } = SharedOptions.OptionalChoice("--dtype",
        "The data type of the target's weights, and on a GPU of its arithmetic. A CPU computes in fp32 and keeps weights as they are "
        + "stored; there bf16 rounds them to 16 bits. Default: fp32 on a CPU, bf16 on a GPU.", "fp32", "bf16");

    public Option<string> Device { get; } = SharedOptions.Choice("--device", "The device that the target runs on.",
        () => "cpu", "cpu", "cuda");

    public Option<int?> Threads { get; } = SharedOptions.OptionalInteger("--threads",
        "Threads that a CPU operation uses. Default: libtorch chooses.");

    public Option<string> Weights { get; } = SharedOptions.OptionalChoice("--weights",
        "int8 rounds the target's matrices to 8 bits with a scale for each 32 inputs, so that a step reads about half of what it reads in "
        + "bf16. The answers are then those of the rounded target. On a CPU only. Default: no rounding.", "int8");

    public void AddTo(Command command) => command.AddOptions(Target, Dtype, Device, Threads);

    /// <summary>Adds <see cref="Weights"/> to a command that only computes answers and measures.</summary>
    public void AddWeightsTo(Command command) => command.AddOptions(Weights);

    /// <summary>Loads the target; the caller must dispose it.</summary>
    /// <param name="result">The arguments.</param>
    public Target Load(ParseResult result)
    {
        SetThreads(result.GetValue(Threads));
        var weights = result.Has(Weights) ? result.GetValue(Weights) : null;
        return Lab.Targets.Target.Load(result.GetValue(Target)!, result.GetValue(Dtype), result.GetValue(Device)!, weights);
    }

    /// <summary>
    /// Sets the number of threads. Call this before the target is loaded, because libtorch sets up its threads at the
    /// first operation.
    /// </summary>
    public static void SetThreads(int? threads)
    {
        if (threads is null) return;
        if (threads is < 1 or > 1024)
        {
            throw new KoalaException("--threads", $"is {threads}, but an operation has 1 to 1024 threads",
                "set it to the number of cores");
        }
        LibTorch.EnsureLoaded();
        torch.set_num_threads(threads.Value);
    }
}
