using Koala.Lab.Drafting;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Evaluation.Diagnosis;

/// <summary>A draft source that gets other features than it asks for: those of other layers, or changed ones.</summary>
/// <param name="source">The draft source.</param>
/// <param name="layers">The layers of the target whose outputs it gets; none means the hidden states after the final norm.</param>
/// <param name="change">Changes the features, [B,N,F].</param>
internal sealed class OtherFeatures(IDraftSource source, IReadOnlyList<int> layers, Func<Tensor, Tensor>? change = null) : IDraftSource
{
    public int MaxDraftLength => source.MaxDraftLength;

    public IReadOnlyList<int> FeatureLayers => layers;

    public Drafter NewDrafter(Target target, int batch, int capacity) => source.NewDrafter(target, batch, capacity) is LevelDrafter drafter
        ? new ChangedDrafter(drafter, change)
        : throw new NotSupportedException("A draft source with features drafts level by level.");

    private sealed class ChangedDrafter(LevelDrafter drafter, Func<Tensor, Tensor>? change) : LevelDrafter
    {
        public override int MaxDraftLength => drafter.MaxDraftLength;

        public override int Batch => drafter.Batch;

        public override DraftVocabulary? Vocabulary => drafter.Vocabulary;

        public override void Extend(Tensor features, IReadOnlyList<int[]> tokens)
        {
            using var scope = NewDisposeScope();
            drafter.Extend(change is null ? features : change(features), tokens);
        }

        public override void Forget(int sequence) => drafter.Forget(sequence);

        public override Tensor First() => drafter.First();

        public override Tensor Next(IReadOnlyList<int[]> tokens, IReadOnlyList<int[]> parents) => drafter.Next(tokens, parents);

        internal override KoalaException NotFinite() => drafter.NotFinite();

        protected override void Dispose(bool disposing)
        {
            drafter.Dispose();
            base.Dispose(disposing);
        }
    }
}
