using Koala.Lab.Checkpoints;
using static TorchSharp.torch;

namespace Koala.Lab.Adversary;

/// <summary>The network that distinguishes the target's from the head's: a small MLP that gives a score.</summary>
/// <remarks>
/// The layers are linear, leaky ReLU, linear, leaky ReLU, linear. Spectral norm (arXiv 1802.05957) divides each matrix by
/// an estimate of its largest singular value, which one step of power iteration per training step keeps up to date; the
/// scores then change by no more than the input does. In shapes N is the number of positions and I the number of inputs.
/// </remarks>
public sealed class Discriminator : IDisposable
{
    private const double Slope = 0.2;

    // Steps of power iteration at the beginning; later the weights change little from step to step.
    private const int FirstIterations = 20;

    private readonly Tensor[] _weights;
    private readonly Tensor[] _biases;
    private readonly Tensor[] _left;    // the left singular vectors of the weights, [out]; empty without spectral norm
    private readonly Tensor[] _right;   // the right ones, [in], which follow from the left ones

    /// <param name="inputs">The number of inputs, I.</param>
    /// <param name="width">The width of the hidden layers.</param>
    /// <param name="seed">
    /// The seed of the initial weights. They come from a random generator of their own, so that the training of the
    /// head does not change.
    /// </param>
    /// <param name="device">The device of the weights.</param>
    /// <param name="spectralNorm">Whether each matrix is divided by its largest singular value.</param>
    public Discriminator(long inputs, int width, int seed, Device device, bool spectralNorm = false)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var generator = new Generator((ulong)seed, CPU);
        Tensor Parameter(Tensor value) => value.to(device).DetachFromDisposeScope().requires_grad_(true);
        (long In, long Out)[] sizes = [(inputs, width), (width, width), (width, 1)];
        // PyTorch's linear layers start with the same Kaiming-uniform weights.
        _weights = [.. sizes.Select(s => Parameter((rand(s.Out, s.In, generator: generator) * 2 - 1) / Math.Sqrt(s.In)))];
        _biases = [.. sizes.Select(s => Parameter(zeros(s.Out)))];
        Parameters =
        [
            .. _weights.Select((weight, i) => KeyValuePair.Create($"{i}.weight", weight)),
            .. _biases.Select((bias, i) => KeyValuePair.Create($"{i}.bias", bias)),
        ];
        var normed = spectralNorm ? sizes : [];
        _left = [.. normed.Select(s => Unit(randn(s.Out, generator: generator)).to(device).DetachFromDisposeScope())];
        _right = [.. normed.Select(s => zeros(s.In, device: device).DetachFromDisposeScope())];
        State = [.. _left.Select((vector, i) => KeyValuePair.Create($"{i}.left", vector))];
        for (var i = 0; i < FirstIterations; i++) FollowWeights();
    }

    /// <summary>The tensors that training changes, by name and in a fixed order. The discriminator owns them.</summary>
    public StateDict Parameters { get; }

    /// <summary>What else a resumed run needs: the singular vectors of spectral norm. The discriminator owns them.</summary>
    internal StateDict State { get; }

    /// <summary>Brings the estimates of the largest singular values up to date, once per training step.</summary>
    internal void FollowWeights()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        for (var i = 0; i < _left.Length; i++)
        {
            _right[i].copy_(Unit(mv(_weights[i].t(), _left[i])));
            _left[i].copy_(Unit(mv(_weights[i], _right[i])));
        }
    }

    /// <summary>
    /// Scores inputs. A high score means that the discriminator takes the input for the target's.
    /// </summary>
    /// <param name="inputs">The inputs, [N,I].</param>
    /// <param name="frozen">Whether the weights are constants, so that gradients flow to the inputs only.</param>
    /// <returns>The scores, [N].</returns>
    public Tensor Score(Tensor inputs, bool frozen = false)
    {
        using var scope = NewDisposeScope();
        var x = inputs;
        for (var i = 0; i < _weights.Length; i++)
        {
            var (weight, bias) = frozen ? (_weights[i].detach(), _biases[i].detach()) : (_weights[i], _biases[i]);
            if (_left.Length > 0) weight = weight / dot(_left[i], mv(weight, _right[i])).clamp_min(1e-12);
            x = nn.functional.linear(x, weight, bias);
            if (i < _weights.Length - 1) x = nn.functional.leaky_relu(x, Slope);
        }
        return x.squeeze(-1).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Parameters.Dispose();
        State.Dispose();
        foreach (var vector in _right) vector.Dispose();
    }

    private static Tensor Unit(Tensor vector) => vector / vector.norm().clamp_min(1e-12);
}
