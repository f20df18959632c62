using Koala.Lab.Checkpoints;
using static TorchSharp.torch;

namespace Koala.Lab.Adversary;

/// <summary>
/// The network that distinguishes the target's distributions from the head's: a small MLP that maps the probabilities
/// of a distribution to one score.
/// </summary>
/// <remarks>
/// The layers are linear, leaky ReLU, linear, leaky ReLU, linear. This design is Koala's own. The "real" input is the
/// target's distribution and not the one-hot vector of the text's token, which would be too easy to recognise. The
/// probabilities are multiplied by the square root of the vocabulary size: without it their norm is so small that the
/// first layer hardly reacts to them at first. In shapes N is the number of distributions and V the size of the
/// vocabulary.
/// </remarks>
public sealed class Discriminator : IDisposable
{
    private const double Slope = 0.2;
    private readonly double _scale;
    private readonly Tensor[] _weights;
    private readonly Tensor[] _biases;

    /// <param name="vocabulary">The size of the vocabulary, V.</param>
    /// <param name="width">The width of the hidden layers.</param>
    /// <param name="seed">
    /// The seed of the initial weights. They come from a random generator of their own, so that the training of the
    /// head does not change.
    /// </param>
    /// <param name="device">The device of the weights.</param>
    public Discriminator(long vocabulary, int width, int seed, Device device)
    {
        _scale = Math.Sqrt(vocabulary);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var generator = new Generator((ulong)seed, CPU);
        Tensor Parameter(Tensor value) => value.to(device).DetachFromDisposeScope().requires_grad_(true);
        (long In, long Out)[] sizes = [(vocabulary, width), (width, width), (width, 1)];
        // PyTorch's linear layers start with the same Kaiming-uniform weights.
        _weights = [.. sizes.Select(s => Parameter((rand(s.Out, s.In, generator: generator) * 2 - 1) / Math.Sqrt(s.In)))];
        _biases = [.. sizes.Select(s => Parameter(zeros(s.Out)))];
        Parameters =
        [
            .. _weights.Select((weight, i) => KeyValuePair.Create($"{i}.weight", weight)),
            .. _biases.Select((bias, i) => KeyValuePair.Create($"{i}.bias", bias)),
        ];
    }

    /// <summary>The tensors that training changes, by name and in a fixed order. The discriminator owns them.</summary>
    public StateDict Parameters { get; }

    /// <summary>
    /// Scores distributions. A score above 0 means that the discriminator takes the distribution for the target's.
    /// </summary>
    /// <param name="probabilities">The distributions, [N,V].</param>
    /// <returns>The scores, [N].</returns>
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
