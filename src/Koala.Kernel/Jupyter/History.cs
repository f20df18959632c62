using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Koala.Kernel.Jupyter;

/// <summary>The cells of this session, as front ends ask for them: the last ones, a range, or those like a pattern.</summary>
internal sealed class History
{
    private readonly List<(int Line, string Code)> _cells = [];

    public void Add(int line, string code) => _cells.Add((line, code));

    public JsonObject Answer(JsonObject content)
    {
        IEnumerable<(int Line, string Code)> found = _cells;
        var n = Number("n") ?? int.MaxValue;
        switch (content["hist_access_type"]?.ToString())
        {
            case "range":
                found = _cells.Where(cell => cell.Line >= (Number("start") ?? 0) && cell.Line < (Number("stop") ?? int.MaxValue));
                break;
            case "search":
                // A glob: * is any text, ? any character.
                var pattern = "^" + Regex.Escape(content["pattern"]?.ToString() ?? "*").Replace("\\*", ".*", StringComparison.Ordinal).Replace("\\?", ".", StringComparison.Ordinal) + "$";
                found = _cells.Where(cell => Regex.IsMatch(cell.Code, pattern, RegexOptions.Singleline | RegexOptions.NonBacktracking));
                if (content["unique"]?.GetValue<bool>() == true) found = found.DistinctBy(cell => cell.Code);
                found = found.TakeLast(n);
                break;
            default:
                found = _cells.TakeLast(n);
                break;
        }
        var output = content["output"]?.GetValue<bool>() == true;
        return new JsonObject { ["history"] = new JsonArray([.. found.Select(cell => new JsonArray(0, cell.Line, output ? new JsonArray(cell.Code, null) : cell.Code))]) };

        int? Number(string name) => content[name] is JsonValue value && value.TryGetValue(out int number) ? number : null;
    }
}
