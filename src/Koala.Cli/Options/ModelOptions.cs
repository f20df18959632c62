using System.CommandLine;
using Koala.Lab;
using Koala.Lab.Runtime.Machine;
using Koala.Lab.Runtime.Native;
using Koala.Lab.Targets;
using TorchSharp;

namespace Koala.Cli.Options;

/// <summary>The target and what it runs on: <c>--target --dtype --device --threads</c>.</summary>
internal sealed class ModelOptions(string standardDtype)
{
    public Option<string?> Target { get; } = SharedOptions.Text("--target", "PATH", "The target: a folder in Hugging Face's layout, a GGUF file, or the name of a model that was pulled (org/name).");

    public Option<string> Dtype { get; } = SharedOptions.ChoiceOrNone("--dtype", $"What the target computes in. Default: {standardDtype}.", "fp32", "bf16");

    public Option<string> Device { get; } = SharedOptions.Choice("--device", "Where the target runs.", () => "cpu", "cpu", "cuda");

    public Option<int?> Threads { get; } = SharedOptions.WholeOrNone("--threads", "Threads of a CPU operation. Default: libtorch's own choice.");

    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])[Target, Dtype, Device, Threads]) command.Options.Add(option);
    }

    /// <summary>Loads the target.</summary>
    /// <param name="result">The arguments.</param>
    /// <param name="fastest">Where no dtype is asked for: the faster one; else fp32 on a CPU and bf16 on a GPU.</param>
    public Target Load(ParseResult result, bool fastest = false)
    {
        SetThreads(result.GetValue(Threads));
        var device = result.GetValue(Device)!;
        return Lab.Targets.Target.Load(result.GetValue(Target)!, result.GetValue(Dtype) ?? (fastest ? Fastest(device) : null), device);
    }

    /// <summary>Before the target is loaded: libtorch sets up its threads at the first operation.</summary>
    public static void SetThreads(int? threads)
    {
        if (threads is null) return;
        if (threads is < 1 or > 1024) throw new KoalaException("--threads", $"is {threads}, but an operation has 1 to 1024 threads", "set it to the number of cores");
        LibTorch.EnsureLoaded();
        torch.set_num_threads(threads.Value);
    }

    private static string Fastest(string device) => device == "cpu" ? FastestDtype.OnCpu.Fastest : "bf16";
}
