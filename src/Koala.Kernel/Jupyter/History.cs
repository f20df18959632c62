using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Koala.Kernel.Jupyter;

/// <summary>
/// The cells of this session. Front ends ask for the last cells, for a range, or for those that match a pattern.
/// </summary>
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
                var pattern = Glob(content["pattern"]?.ToString() ?? "*");
                found = _cells.Where(cell => Regex.IsMatch(cell.Code, pattern, RegexOptions.Singleline | RegexOptions.NonBacktracking));
                if (content["unique"]?.GetValue<bool>() == true) found = found.DistinctBy(cell => cell.Code);
                found = found.TakeLast(n);
                break;
            default:
                found = _cells.TakeLast(n);
                break;
        }
        var output = content["output"]?.GetValue<bool>() == true;
        return new JsonObject { ["history"] = new JsonArray([.. found.Select(Entry)]) };

        JsonArray Entry((int Line, string Code) cell) => new(0, cell.Line, output ? new JsonArray(cell.Code, null) : cell.Code);

        int? Number(string name) => content[name] is JsonValue value && value.TryGetValue(out int number) ? number : null;
    }

    // In a pattern * stands for any text and ? for any character.
    private static string Glob(string pattern)
    {
        var escaped = Regex.Escape(pattern);
        return $"^{escaped.Replace("\\*", ".*", StringComparison.Ordinal).Replace("\\?", ".", StringComparison.Ordinal)}$";
    }
}
