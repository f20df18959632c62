namespace Koala.Kernel.Jupyter;

/// <summary>The last lines that a process printed. Any thread may add and read.</summary>
internal sealed class LastLines
{
    private const int Kept = 20;

    private readonly Queue<string> _lines = [];

    /// <summary>Adds a line; null, which ends a stream, is ignored.</summary>
    public void Add(string? line)
    {
        // A fatal error of .NET is followed by some fifty frames, most of them the kernel's own, behind which its cause would be lost.
        if (line is null || line.StartsWith("   at ", StringComparison.Ordinal)) return;
        lock (_lines)
        {
            _lines.Enqueue(line);
            if (_lines.Count > Kept) _lines.Dequeue();
        }
    }

    /// <summary>The last line; null if there is none.</summary>
    public string? Last
    {
        get
        {
            lock (_lines) return _lines.LastOrDefault();
        }
    }

    /// <summary>The lines as they are told after a crash.</summary>
    public IReadOnlyList<string> Told
    {
        get
        {
            lock (_lines) return _lines.Count > 0 ? ["The last lines that it printed:", .. _lines] : ["It printed nothing."];
        }
    }
}
