using Koala.Lab.Adversary;
using Koala.Lab.Tests.Training;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Adversary;

/// <summary>The losses of both sides and their gradients, compared with the formulas in doubles.</summary>
[Trait(PromptSample.Category, PromptSample.Numeric)]
public sealed class AdversarialLossTests
{
    private static readonly double[] s_real = [-1.5, 0.3, 0.9, 2.5];
    private static readonly double[] s_fake = [-2.5, -0.4, 1.7];

    public static TheoryData<AdversarialLoss> All => [.. Enum.GetValues<AdversarialLoss>()];

    [Theory, MemberData(nameof(All))]
    public void Losses_and_gradients_are_those_of_the_closed_forms(AdversarialLoss loss)
    {
        using var scope = NewDisposeScope();
        static double Sigmoid(double x) => 1 / (1 + Math.Exp(-x));
        static double Softplus(double x) => Math.Log(1 + Math.Exp(x));
        // The loss of a score and its derivative: of the discriminator on real and fake ones, and of the head.
        var (ofReal, ofFake, ofHead) = loss switch
        {
            AdversarialLoss.Hinge =>
                (new Formula(r => Math.Max(0, 1 - r), r => r < 1 ? -1 : 0), new Formula(f => Math.Max(0, 1 + f), f => f > -1 ? 1 : 0),
                    new Formula(f => -f, _ => -1)),
            AdversarialLoss.NonSaturating =>
                (new Formula(r => Softplus(-r), r => -Sigmoid(-r)), new Formula(Softplus, Sigmoid),
                    new Formula(f => Softplus(-f), f => -Sigmoid(-f))),
            AdversarialLoss.LeastSquares =>
                (new Formula(r => (r - 1) * (r - 1) / 2, r => r - 1), new Formula(f => (f + 1) * (f + 1) / 2, f => f + 1),
                    new Formula(f => (f - 1) * (f - 1) / 2, f => f - 1)),
            _ => (new Formula(r => -r, _ => -1), new Formula(f => f, _ => 1), new Formula(f => -f, _ => -1)),
        };
        var (real, fake) = (Scores(s_real), Scores(s_fake));
        var ofDiscriminator = loss.OfDiscriminator(real, fake);
        ofDiscriminator.backward();
        Assert.Equal(s_real.Average(ofReal.Value) + s_fake.Average(ofFake.Value), ofDiscriminator.item<double>(), 12);
        AssertClose(s_real.Select(r => ofReal.Slope(r) / s_real.Length), real.grad!);
        AssertClose(s_fake.Select(f => ofFake.Slope(f) / s_fake.Length), fake.grad!);

        var own = Scores(s_fake);
        var head = loss.OfHead(own);
        head.backward();
        Assert.Equal(s_fake.Average(ofHead.Value), head.item<double>(), 12);
        AssertClose(s_fake.Select(f => ofHead.Slope(f) / s_fake.Length), own.grad!);
    }

    [Theory, MemberData(nameof(All))]
    public void Without_a_position_a_loss_is_zero_and_has_gradients(AdversarialLoss loss)
    {
        using var scope = NewDisposeScope();
        var (real, fake) = (Scores([]), Scores([]));
        var total = loss.OfDiscriminator(real, fake) + loss.OfHead(fake);
        total.backward();
        Assert.Equal(0, total.item<double>());
        Assert.Equal(0, loss.Threshold(real, fake).item<double>());
    }

    private sealed record Formula(Func<double, double> Value, Func<double, double> Slope);

    private static Tensor Scores(double[] values) => tensor(values, ScalarType.Float64).requires_grad_(true);

    private static void AssertClose(IEnumerable<double> expected, Tensor actual)
    {
        foreach (var (e, a) in expected.Zip(TinyModels.Doubles(actual))) Assert.Equal(e, a, 12);
    }
}
