using Koala.Lab.Checkpoints;
using Koala.Lab.Training;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Training;

[Trait(PromptSample.Category, PromptSample.Numeric)]
public sealed class AdamWTests
{
    [Fact]
    public void Five_steps_equal_the_formula_in_double_precision()
    {
        const double Beta1 = 0.9, Beta2 = 0.95, Decay = 0.1, Epsilon = 1e-8;
        double[][] values = [[1, -2, 0.5], [3, 0.001]];
        var (first, second) = (values.Select(v => new double[v.Length]).ToArray(),
            values.Select(v => new double[v.Length]).ToArray());
        using var scope = NewDisposeScope();
        StateDict parameters = [.. values.Select((v, i) => KeyValuePair.Create($"p{i}", Parameter(v)))];
        using var optimizer = new AdamW(parameters, Beta1, Beta2, Decay);

        var random = new Random(3);
        for (var step = 1; step <= 5; step++)
        {
            var rate = 0.1 / step;
            var gradients = values.Select(v => v.Select(_ => random.NextDouble() * 4 - 2).ToArray()).ToArray();
            SetGradients(optimizer, parameters, gradients);
            optimizer.Step(rate);
            for (var p = 0; p < values.Length; p++)
            {
                for (var i = 0; i < values[p].Length; i++)
                {
                    first[p][i] = Beta1 * first[p][i] + (1 - Beta1) * gradients[p][i];
                    second[p][i] = Beta2 * second[p][i] + (1 - Beta2) * gradients[p][i] * gradients[p][i];
                    var (m, v) = (first[p][i] / (1 - Math.Pow(Beta1, step)), second[p][i] / (1 - Math.Pow(Beta2, step)));
                    values[p][i] = values[p][i] * (1 - rate * Decay) - rate * m / (Math.Sqrt(v) + Epsilon);
                }
                AssertNear(values[p], parameters[p].Value);
            }
        }
        var state = optimizer.State.ToDictionary();
        Assert.Equal(["p0", "p0.first", "p0.second", "p0.steps", "p1", "p1.first", "p1.second", "p1.steps"], state.Keys);
        AssertNear(first[0], state["p0.first"]);
        AssertNear(second[1], state["p1.second"]);
        Assert.Equal(5, state["p1.steps"].item<float>());
    }

    [Fact]
    public void Without_weight_decay_a_parameter_without_gradient_stays()
    {
        using var scope = NewDisposeScope();
        StateDict parameters = [new("p", Parameter([1, -2]))];
        using var optimizer = new AdamW(parameters, 0.9, 0.95, 0);
        SetGradients(optimizer, parameters, [[0, 0]]);
        optimizer.Step(0.1);
        Assert.Equal([1, -2], TinyModels.Doubles(parameters[0].Value));
    }

    [Theory]
    [InlineData(1.0, 1.0 / 13)]
    [InlineData(6.5, 0.5)]
    [InlineData(13.1, 1.0)]
    [InlineData(1e9, 1.0)]
    public void Gradients_are_scaled_down_to_the_limit_over_all_parameters_together_and_never_up(double limit, double scale)
    {
        using var scope = NewDisposeScope();
        StateDict parameters = [new("a", Parameter([0, 0])), new("b", Parameter([0]))];
        using var optimizer = new AdamW(parameters, 0.9, 0.95, 0);
        SetGradients(optimizer, parameters, [[3, -4], [12]]);
        Tolerance.AssertClose(13, optimizer.ClipGradients(limit).item<float>(), 3);
        AssertNear([3 * scale, -4 * scale], parameters[0].Value.grad!);
        AssertNear([12 * scale], parameters[1].Value.grad!);
    }

    [Fact]
    public void Zeroed_gradients_do_not_add_up()
    {
        using var scope = NewDisposeScope();
        StateDict parameters = [new("p", Parameter([1]))];
        using var optimizer = new AdamW(parameters, 0.9, 0.95, 0);
        SetGradients(optimizer, parameters, [[5]]);
        SetGradients(optimizer, parameters, [[2]]);
        Assert.Equal([2], TinyModels.Doubles(parameters[0].Value.grad!));
    }

    // Each moment takes three operations, the corrections two, and one each for the root, epsilon, the quotient, the
    // rate, the decay and the difference. The errors of earlier steps fade.
    private const int OperationsOfStep = 14;

    private static Tensor Parameter(double[] values) => tensor(values, ScalarType.Float32).requires_grad_(true);

    private static void SetGradients(AdamW optimizer, StateDict parameters, double[][] gradients)
    {
        optimizer.ZeroGradients();
        foreach (var (parameter, gradient) in parameters.Zip(gradients))
            (parameter.Value * tensor(gradient, ScalarType.Float32)).sum().backward();
    }

    private static void AssertNear(double[] expected, Tensor actual)
    {
        foreach (var (e, a) in expected.Zip(TinyModels.Doubles(actual)))
            Tolerance.AssertClose(e, a, OperationsOfStep, magnitude: Math.Max(1, Math.Abs(e)));
    }
}
