using System.Text.Json;
using System.Xml.Linq;
using Koala.Lab.Charts;
using Koala.Lab.Charts.Drawing;
using Koala.Lab.Charts.Figures;
using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Trace;
using Koala.Lab.Drafting.Trees;

namespace Koala.Lab.Tests.Charts;

public sealed class DraftTreeTests
{
    public static TheoryData<string> Rounds => ["chain", "tree", "deep", "nothing"];

    [Theory, MemberData(nameof(Rounds))]
    public void Nodes_and_their_labels_and_edges_do_not_overlap(string name)
    {
        var tree = DraftTreeFigure.Create(RoundOf(name));
        Assert.Equal(RoundOf(name).Drafted + 2, tree.Nodes.Count);   // plus the root and the bonus token
        var boxes = tree.Nodes
            .Select(node =>
                (At: tree.At(node), Right: tree.At(node).X + DrawnTree.LabelGap + SvgText.WidthOf(tree.Label(node))))
            .ToArray();
        for (var i = 0; i < boxes.Length; i++)
        {
            for (var j = 0; j < i; j++)
                Assert.True(boxes[i].At.Y != boxes[j].At.Y
                    || boxes[i].At.X > boxes[j].Right + 10
                    || boxes[j].At.X > boxes[i].Right + 10,
                    $"{tree.Nodes[i]} over {tree.Nodes[j]}");
            Assert.InRange(boxes[i].Right, 0, tree.Width);
            Assert.InRange(boxes[i].At.Y, 4, tree.Height - 4);
            if (i == 0) continue;
            // No part of an edge touches a label.
            var edge = tree.Edge(tree.Nodes[i]);
            foreach (var (from, to) in edge.Zip(edge.Skip(1)))
                Assert.DoesNotContain(boxes,
                    box => Math.Max(from.X, to.X) > box.At.X - 5 && Math.Min(from.X, to.X) < box.Right + 2
                    && Math.Max(from.Y, to.Y) > box.At.Y - 7 && Math.Min(from.Y, to.Y) < box.At.Y + 7);
        }
        Assert.True(tree.Width <= 690, $"{tree.Width}");
    }

    [Fact]
    public void The_bonus_token_is_attached_to_the_last_accepted_one()
    {
        var tree = DraftTreeFigure.Create(Sample.TreeRound);
        var bonus = Assert.Single(tree.Nodes, node => node.Fate == Fate.Bonus);
        Assert.Equal("␣for", tree.Nodes[bonus.Parent].Text);
        Assert.Equal(["␣The", "␣reason", "␣for"],
            tree.Nodes.Where(node => node.Fate == Fate.Accepted).Select(node => node.Text));
        Assert.Equal(4, bonus.Level);
        var rejected = DraftTreeFigure.Create(Sample.Round([-1], ["a"], []));
        var bonusAfterRoot = rejected.Nodes.Single(node => node.Fate == Fate.Bonus);
        Assert.Equal("root", tree.Nodes[bonusAfterRoot.Parent].Text);
    }

    [Fact]
    public void Accepted_rejected_and_bonus_have_colours_and_hovering_shows_p_and_q()
    {
        var figure = Chart.DraftTree(Sample.ChainRound);
        var traces = JsonDocument.Parse(figure.Json).RootElement
            .GetProperty("data")
            .EnumerateArray()
            .Where(t => t.TryGetProperty("customdata", out _))
            .ToDictionary(t => t.GetProperty("name").GetString()!);
        Assert.Equal(["root", "accepted", "bonus token", "rejected"], traces.Keys);
        Assert.Equal(3,
            traces.Values.Skip(1)
                .Select(t => t.GetProperty("marker").GetProperty("color").GetString())
                .Distinct()
                .Count());
        Assert.Equal(["␣the", "␣sky"], traces["accepted"].GetProperty("text").EnumerateArray().Select(t => t.GetString()));
        Assert.Equal(["␣is", "↵"], traces["rejected"].GetProperty("text").EnumerateArray().Select(t => t.GetString()));
        Assert.Equal(["␣sky", "0.333", "0.250"],
            traces["accepted"].GetProperty("customdata")[1].EnumerateArray().Select(t => t.GetString()));
        Assert.Equal(["␣because", "0.625", ""],
            traces["bonus token"].GetProperty("customdata")[0].EnumerateArray().Select(t => t.GetString()));
        var titles = XDocument.Parse(figure.Svg)
            .Descendants()
            .Where(e => e.Name.LocalName == "title")
            .Select(e => e.Value)
            .ToArray();
        Assert.Equal(5, titles.Length);
        Assert.Contains("␣sky: accepted, p 0.333, q 0.250", titles);
        Assert.Contains("␣because: bonus token, p 0.625", titles);
    }

    [Fact]
    public void The_text_is_the_tree_indented() => Assert.Equal(
        """
        Draft tree: 2 of 4 candidates accepted
        token               p      q
        root
          ␣the          0.500  0.333  accepted
            ␣sky        0.333  0.250  accepted
              ␣is       0.250  0.200  rejected
                ↵       0.200  0.167  rejected
              ␣because  0.625         bonus token
        p: the target's probability, q: the head's
        """.ReplaceLineEndings("\n"), Chart.DraftTree(Sample.ChainRound).ToString());

    [Fact]
    public void A_round_of_a_full_trace_is_drawn_and_one_of_a_plain_trace_refused()
    {
        using var head = Decoding.PlainDecoding.RandomHead(ShippedModels.Nano, 1);
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        var options = new GenerationOptions
        {
            MaxTokens = 4, Tree = new StaticTree("tree", [[0], [1], [0, 0], [1, 0], [1, 1], [1, 1, 0]]),
        };
        var fault = Assert.Throws<KoalaException>(() =>
            Chart.DraftTree(decoder.Generate(Golden.Prompts("koala-nano")[0].Ids, options).Rounds[0]));
        Assert.Contains("FullTrace", fault.Message, StringComparison.Ordinal);
        var round = decoder.Generate(Golden.Prompts("koala-nano")[0].Ids, options with { FullTrace = true }).Rounds[0];
        var tree = DraftTreeFigure.Create(round);
        Assert.Equal([1, 1, 2, 2, 2, 3],
            tree.Nodes.Where(node => node.Fate is Fate.Accepted or Fate.Rejected).Select(node => node.Level).Order());
        Assert.StartsWith("Draft tree", Chart.DraftTree(round).ToString(), StringComparison.Ordinal);
    }

    private static Round RoundOf(string name) => name switch
    {
        "chain" => Sample.ChainRound,
        "tree" => Sample.TreeRound,
        "deep" => Sample.DeepRound,
        _ => Sample.Round([], [], []),
    };
}
