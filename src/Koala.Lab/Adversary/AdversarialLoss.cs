using System.Text.Json.Serialization;
using static TorchSharp.torch;

namespace Koala.Lab.Adversary;

/// <summary>The pair of losses that a head and its discriminator play with.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<AdversarialLoss>))]
public enum AdversarialLoss
{
    /// <summary>Hinge (arXiv 1705.02894): scores of the target above 1 and scores of the head below -1 cost nothing.</summary>
    [JsonStringEnumMemberName("hinge")]
    Hinge,

    /// <summary>The non-saturating form of the first adversarial networks (arXiv 1406.2661, section 3).</summary>
    [JsonStringEnumMemberName("non-saturating")]
    NonSaturating,

    /// <summary>Least squares (arXiv 1611.04076): the target's label is 1 and the head's -1.</summary>
    [JsonStringEnumMemberName("least-squares")]
    LeastSquares,

    /// <summary>Wasserstein with gradient penalty (arXiv 1704.00028): the difference of the mean scores.</summary>
    [JsonStringEnumMemberName("wasserstein")]
    Wasserstein,
}

/// <summary>
/// The formulas of <see cref="AdversarialLoss"/>. r are scores of the target's, [N], and f scores of the head's, [M]; the
/// discriminator wants r high and f low. Each loss is a mean over positions, and zero without any.
/// </summary>
internal static class AdversarialLosses
{
    /// <summary>The discriminator's loss, a scalar, without a gradient penalty.</summary>
    public static Tensor OfDiscriminator(this AdversarialLoss loss, Tensor real, Tensor fake) => loss switch
    {
        // max(0, 1 - r) + max(0, 1 + f).
        AdversarialLoss.Hinge => Mean((1 - real).relu()) + Mean((1 + fake).relu()),

        // -log σ(r) - log(1 - σ(f)).
        AdversarialLoss.NonSaturating => Mean(nn.functional.softplus(-real)) + Mean(nn.functional.softplus(fake)),

        // (r - 1)²/2 + (f + 1)²/2.
        AdversarialLoss.LeastSquares => Mean((real - 1).square()) / 2 + Mean((fake + 1).square()) / 2,

        // f - r.
        _ => Mean(fake) - Mean(real),
    };

    /// <summary>The head's loss, a scalar.</summary>
    public static Tensor OfHead(this AdversarialLoss loss, Tensor fake) => loss switch
    {
        // -log σ(f).
        AdversarialLoss.NonSaturating => Mean(nn.functional.softplus(-fake)),

        // (f - 1)²/2.
        AdversarialLoss.LeastSquares => Mean((fake - 1).square()) / 2,

        // -f.
        _ => -Mean(fake),
    };

    /// <summary>
    /// The score above which the discriminator takes something for the target's, a scalar. Wasserstein scores have no zero,
    /// so there it is the middle of both means.
    /// </summary>
    public static Tensor Threshold(this AdversarialLoss loss, Tensor real, Tensor fake) =>
        loss == AdversarialLoss.Wasserstein ? (Mean(real) + Mean(fake)) / 2 : zeros(1, real.dtype, real.device);

    /// <summary>The mean; zero instead of NaN if a batch has no position that counts.</summary>
    public static Tensor Mean(Tensor x) => x.numel() == 0 ? x.sum() : x.mean();
}
