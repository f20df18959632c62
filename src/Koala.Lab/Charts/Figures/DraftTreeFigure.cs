using System.Globalization;
using Koala.Lab.Charts.Drawing;
using Koala.Lab.Decoding.Trace;

namespace Koala.Lab.Charts.Figures;

/// <summary>The draft tree of a round with the fate of each candidate.</summary>
internal static class DraftTreeFigure
{
    public static DrawnTree Create(Round round)
    {
        if (round.Candidates is not { } candidates || round.Bonus is not { } bonus)
            throw new KoalaException("the round", "has no recorded candidates, so its tree cannot be drawn",
                "generate with FullTrace = true");
        var last = candidates.Index().Where(c => c.Item.Accepted).Select(c => c.Index).DefaultIfEmpty(-1).Last();
        var nodes = new List<DrawnNode> { new("root", -1, 0, 0, Fate.Root, null, null) };
        var row = 0;
        Children(-1, 0);
        var title = string.Create(CultureInfo.InvariantCulture, $"Draft tree: {round.Accepted} of {round.Drafted} candidates accepted");
        return new DrawnTree(title, nodes);

        // The tree is walked depth first. The first child stands beside its parent, and each further child below all nodes before it. The
        // bonus token comes last, because it was decided last.
        void Children(int candidate, int node)
        {
            var first = true;
            for (var i = candidate + 1; i < candidates.Count; i++)
                if (candidates[i] is var child && child.Parent == candidate)
                {
                    Add(Label(child.Text, child.Token), child.Accepted ? Fate.Accepted : Fate.Rejected, child.P, child.Q);
                    Children(i, nodes.Count - 1);
                }
            if (candidate == last) Add(Label(bonus.Text, bonus.Token), Fate.Bonus, bonus.P, null);

            void Add(string text, Fate fate, float p, float? q)
            {
                if (!first) row++;
                first = false;
                nodes.Add(new DrawnNode(text, node, nodes[node].Level + 1, row, fate, p, q));
            }
        }
    }

    // Spaces and line ends are parts of tokens and are made visible; special tokens have no text.
    private static string Label(string text, int token) => text.Length == 0
        ? string.Create(CultureInfo.InvariantCulture, $"#{token}")
        : text.Replace(' ', '␣').Replace('\n', '↵').Replace('\t', '⇥').Replace('\r', '↵');
}
