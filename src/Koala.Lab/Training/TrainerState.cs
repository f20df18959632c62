using System.Globalization;
using Koala.Lab.Checkpoints;
using Koala.Lab.Checkpoints.Safetensors;
using static TorchSharp.torch;

namespace Koala.Lab.Training;

/// <summary>The state of a training that changes from step to step, and the file that holds it.</summary>
/// <param name="optimizer">The head's optimizer.</param>
/// <param name="adversary">The discriminator's optimizer; null without an adversary.</param>
/// <param name="game">What else of the game changes; null without an adversary.</param>
internal sealed class TrainerState(AdamW optimizer, AdamW? adversary, StateDict? game)
{
    private const string FileName = "state.safetensors";

    public int Step { get; set; }

    public long Tokens { get; set; }

    public double Seconds { get; set; }

    // These are the tensors of the optimizers and the head themselves, not copies.
    private StateDict Tensors =>
    [
        .. optimizer.State.Select(t => KeyValuePair.Create($"head.{t.Key}", t.Value)),
        .. adversary?.State.Select(t => KeyValuePair.Create($"discriminator.{t.Key}", t.Value)) ?? [],
        .. game?.Select(t => KeyValuePair.Create($"game.{t.Key}", t.Value)) ?? [],
    ];

    public void Save(string folder)
    {
        using var _ = no_grad();
        SafetensorsWriter.Write(Path.Combine(folder, FileName), Tensors, new Dictionary<string, string>
        {
            ["step"] = Step.ToString(CultureInfo.InvariantCulture),
            ["tokens"] = Tokens.ToString(CultureInfo.InvariantCulture),
            ["seconds"] = Seconds.ToString("R", CultureInfo.InvariantCulture),
        });
    }

    public void Load(string folder)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var file = SafetensorsFile.Open(Path.Combine(folder, FileName));
        // Everything is checked before anything is changed.
        var (step, tokens, seconds) = (Entry<int>(file, "step"), Entry<long>(file, "tokens"), Entry<double>(file, "seconds"));
        var tensors = Tensors;
        TensorCheck.Check(file, tensors.ToDictionary(t => t.Key, t => t.Value.shape));
        foreach (var (name, tensor) in tensors) tensor.copy_(file.Read(name, tensor.dtype, tensor.device));
        (Step, Tokens, Seconds) = (step, tokens, seconds);
    }

    private static T Entry<T>(SafetensorsFile file, string key) where T : IParsable<T> =>
        file.Metadata.TryGetValue(key, out var text) && T.TryParse(text, CultureInfo.InvariantCulture, out var value)
            ? value : throw new KoalaException(file.Path, $"has no number '{key}' in its metadata", "resume from another checkpoint");
}
