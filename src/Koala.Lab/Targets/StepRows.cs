using Koala.Lab.Kernels;

namespace Koala.Lab.Targets;

/// <summary>The rows of a step in kernels of our own: where each token stands and what it attends to.</summary>
internal sealed class StepRows
{
    private readonly List<int> _sequences = [];
    private readonly List<int> _slots = [];
    private readonly List<int> _positions = [];
    private readonly List<VisibleSlots> _visible = [];

    /// <summary>The number of rows.</summary>
    public int Count => _slots.Count;

    /// <summary>The sequence of a row.</summary>
    public int Sequence(int row) => _sequences[row];

    /// <summary>The cache slot of a row's key and value.</summary>
    public int Slot(int row) => _slots[row];

    /// <summary>The position of a row's token, which rotates its query and key.</summary>
    public int Position(int row) => _positions[row];

    /// <summary>The slots that a row attends to; the last one is its own.</summary>
    public VisibleSlots Visible(int row) => _visible[row];

    /// <summary>The most slots that a row attends to.</summary>
    public int MostVisible { get; private set; }

    /// <summary>The most slots of a row behind those that begin at the first one.</summary>
    public int MostFurther { get; private set; }

    /// <summary>Adds a row that attends to everything up to itself.</summary>
    public void AddCausal(int sequence, int slot) => Add(sequence, slot, slot, new VisibleSlots(slot + 1, []));

    /// <summary>Adds a row.</summary>
    public void Add(int sequence, int slot, int position, VisibleSlots visible)
    {
        _sequences.Add(sequence);
        _slots.Add(slot);
        _positions.Add(position);
        _visible.Add(visible);
        MostVisible = Math.Max(MostVisible, visible.Count);
        MostFurther = Math.Max(MostFurther, visible.Further.Length);
    }

    /// <summary>The rows of a step that appends trees of tokens; see <see cref="TargetModel.Append"/>.</summary>
    /// <param name="trees">The tokens of each sequence and their parents.</param>
    /// <param name="lengths">The number of tokens that each sequence holds already.</param>
    /// <param name="held">The number of these tokens that belong to the trees.</param>
    /// <exception cref="ArgumentException">A token comes before its parent.</exception>
    public static StepRows Of(TokenTrees trees, IReadOnlyList<int> lengths, int held)
    {
        var rows = new StepRows();
        for (var b = 0; b < trees.Tokens.Count; b++)
        {
            var parents = trees.Parents[b];
            var start = lengths[b] - held;
            var paths = new VisibleSlots[parents.Length];
            for (var node = 0; node < parents.Length; node++)
            {
                if (parents[node] >= node)
                    throw new ArgumentException($"token {node} of sequence {b} comes before its parent {parents[node]}", nameof(trees));
                paths[node] = Extend(parents[node] < 0 ? new VisibleSlots(start, []) : paths[parents[node]], start + node);
                if (node >= held) rows.Add(b, start + node, paths[node].Count - 1, paths[node]);
            }
        }
        return rows;
    }

    /// <summary>Adds a slot behind those that are visible.</summary>
    public static VisibleSlots Extend(VisibleSlots visible, int slot) =>
        visible.Further.Length == 0 && slot == visible.First
            ? new VisibleSlots(slot + 1, [])
            : visible with { Further = [.. visible.Further, slot] };
}
