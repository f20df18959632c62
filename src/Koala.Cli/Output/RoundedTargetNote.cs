using Koala.Lab.Drafting;
using Koala.Lab.Heads;
using Koala.Lab.Targets;

namespace Koala.Cli.Output;

/// <summary>The line on standard error that says that a head drafts for rounded weights, which it was not trained with.</summary>
internal static class RoundedTargetNote
{
    public static void Write(Streams streams, bool quiet, Target target, IDraftSource? source)
    {
        if (quiet || target.Weights is null || source is not DraftHead) return;
        streams.Error.WriteLine($"the head was trained with the target's own weights; those rounded to {target.Weights} are a slightly "
            + "different target, which may accept less of its drafts");
    }
}
