using Koala.Lab.Checkpoints;
using Koala.Lab.Runtime.Native;
using static TorchSharp.torch;

namespace Koala.Lab.Training;

/// <summary>
/// AdamW (arXiv 1711.05101) over a list of parameters, in one fused call per step, with gradient clipping.
/// </summary>
/// <remarks>
/// TorchSharp does not offer the fused kernel, but TorchScript can call it. It is several times as fast as a loop over
/// the parameters. The parameters are fp32 masters.
/// </remarks>
internal sealed class AdamW : IDisposable
{
    private const string Source = """
        def step(parameters: List[Tensor], gradients: List[Tensor], first: List[Tensor], second: List[Tensor],
                 steps: List[Tensor], lr: float, beta1: float, beta2: float, decay: float):
            none: List[Tensor] = []
            torch._foreach_add_(steps, 1.0)
            torch._fused_adamw_(parameters, gradients, first, second, none, steps, lr=lr, beta1=beta1, beta2=beta2,
                                weight_decay=decay, eps=1e-08, amsgrad=False, maximize=False)
            return steps[0]

        def cut(gradients: List[Tensor], limit: float):
            norm = torch.stack(torch._foreach_norm(gradients, 2)).norm()
            torch._foreach_clamp_min_(gradients, -limit)
            torch._foreach_clamp_max_(gradients, limit)
            return norm

        def clip(gradients: List[Tensor], limit: float):
            norm = torch.stack(torch._foreach_norm(gradients, 2)).norm()
            scale = torch.clamp(limit / (norm + 1e-06), max=1.0)
            torch._foreach_mul_(gradients, scale)
            return norm

        """;

    private static readonly Lazy<jit.CompilationUnit> s_unit = new(() => jit.compile(Source));

    private readonly StateDict _parameters;
    private readonly Tensor[] _values;
    private readonly Tensor[] _first;    // the first moments
    private readonly Tensor[] _second;   // the second moments
    private readonly Tensor[] _steps;
    private readonly bool[] _beside;     // which parameters are clipped by themselves
    private readonly (double Beta1, double Beta2, double WeightDecay) _rates;

    /// <param name="parameters">The parameters, in fp32. The caller owns them.</param>
    /// <param name="beta1">The decay rate of the first moment.</param>
    /// <param name="beta2">The decay rate of the second moment.</param>
    /// <param name="weightDecay">
    /// The decoupled weight decay. A step takes this times the learning rate off every parameter.
    /// </param>
    /// <param name="beside">
    /// Says by name which parameters learn beside the others and are clipped by themselves, so that they do not change how far the others
    /// are clipped. Null means none.
    /// </param>
    public AdamW(StateDict parameters, double beta1, double beta2, double weightDecay, Func<string, bool>? beside = null)
    {
        using var _ = no_grad();
        _parameters = parameters;
        _rates = (beta1, beta2, weightDecay);
        _values = [.. parameters.Select(p => p.Value)];
        _beside = [.. parameters.Select(p => beside?.Invoke(p.Key) == true)];
        _first = [.. _values.Select(v => zeros_like(v).DetachFromDisposeScope())];
        _second = [.. _values.Select(v => zeros_like(v).DetachFromDisposeScope())];
        _steps = [.. _values.Select(v => zeros(1, device: v.device).DetachFromDisposeScope())];
    }

    /// <summary>
    /// Everything that a resumed run needs, by name: the parameters, both moments and the step counts. These are no
    /// copies.
    /// </summary>
    public StateDict State =>
    [
        .. _parameters.SelectMany((p, i) => new[]
        {
            p,
            KeyValuePair.Create($"{p.Key}.first", _first[i]),
            KeyValuePair.Create($"{p.Key}.second", _second[i]),
            KeyValuePair.Create($"{p.Key}.steps", _steps[i]),
        }),
    ];

    public void ZeroGradients()
    {
        foreach (var value in _values) value.grad?.zero_();
    }

    /// <summary>
    /// Scales all gradients down to a norm of <paramref name="limit"/>, or clamps each one to this limit.
    /// </summary>
    /// <returns>The norm of the gradients before clipping, a scalar, without those that are clipped by themselves.</returns>
    public Tensor ClipGradients(double limit, ClipBy by = ClipBy.Norm)
    {
        Tensor Clip(bool beside) => (Tensor)s_unit.Value.Call(
            by == ClipBy.Norm ? "clip" : "cut", Gradients().Where((_, i) => _beside[i] == beside).ToArray(), limit);
        if (_beside.Contains(true)) Clip(beside: true).Dispose();
        return Clip(beside: false);
    }

    public void Step(double learningRate)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var (beta1, beta2, weightDecay) = _rates;
        s_unit.Value.Call("step", _values, Gradients(), _first, _second, _steps, learningRate, beta1, beta2, weightDecay);
    }

    public void Dispose()
    {
        foreach (var tensor in _first.Concat(_second).Concat(_steps)) tensor.Dispose();
    }

    private Tensor[] Gradients() => [.. _values.Select(GradientOf)];

    private static Tensor GradientOf(Tensor value) =>
        value.grad ?? throw new InvalidOperationException("A parameter has no gradient: the loss does not depend on it.");
}
