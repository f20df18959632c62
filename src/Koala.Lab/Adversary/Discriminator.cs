using Koala.Lab.Checkpoints;
using static TorchSharp.torch;

namespace Koala.Lab.Adversary;

/// <summary>Tells the target's distributions from the head's: a small MLP over a distribution's probabilities, one score each.</summary>
/// <remarks>
/// Linear, leaky ReLU, linear, leaky ReLU, linear. It gets the target's distribution as "real" and not the true token, because a one-hot
/// vector would betray itself. Probabilities are multiplied by the square root of the vocabulary: a vector of probabilities is
/// short, and the first layer would start nearly blind to it. N distributions, V vocabulary. Ours.
/// </remarks>
public sealed class Discriminator : IDisposable
{
    private const double Slope = 0.2;
    private readonly double _scale;
    private readonly Tensor[] _weights;
    private readonly Tensor[] _biases;

    /// <param name="vocabulary">V.</param>
    /// <param name="width">Of the hidden layers.</param>
    /// <param name="seed">Of the initial weights. They come from a generator of their own, so that the head's training is not touched.</param>
    /// <param name="device">Where it runs.</param>
    public Discriminator(long vocabulary, int width, int seed, Device device)
    {
        _scale = Math.Sqrt(vocabulary);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var generator = new Generator((ulong)seed, CPU);
        Tensor Parameter(Tensor value) => value.to(device).DetachFromDisposeScope().requires_grad_(true);
        (long In, long Out)[] sizes = [(vocabulary, width), (width, width), (width, 1)];
        // Kaiming-uniform, as PyTorch's own linear layers start.
        _weights = [.. sizes.Select(s => Parameter((rand(s.Out, s.In, generator: generator) * 2 - 1) / Math.Sqrt(s.In)))];
        _biases = [.. sizes.Select(s => Parameter(zeros(s.Out)))];
        Parameters = [.. _weights.Select((w, i) => KeyValuePair.Create($"{i}.weight", w)), .. _biases.Select((b, i) => KeyValuePair.Create($"{i}.bias", b))];
    }

    /// <summary>What its training changes, by name, in a fixed order. They remain the discriminator's.</summary>
    public StateDict Parameters { get; }

    /// <summary>Scores, [N]: above 0 it takes a distribution for the target's.</summary>
    /// <param name="probabilities">[N,V].</param>
    public Tensor Score(Tensor probabilities)
    {
        using var scope = NewDisposeScope();
        var x = probabilities * _scale;
        for (var i = 0; i < _weights.Length; i++)
        {
            x = nn.functional.linear(x, _weights[i], _biases[i]);
            if (i < _weights.Length - 1) x = nn.functional.leaky_relu(x, Slope);
        }
        return x.squeeze(-1).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose() => Parameters.Dispose();
}
