using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Koala.Kernel.Scripting;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Completion;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.QuickInfo;

namespace Koala.Kernel.Language;

/// <summary>
/// Answers the requests of front ends while a person writes: completion, inspection, and whether the text is complete.
/// </summary>
internal sealed partial class Completion(CSharpSession session, ICellCommands commands) : IDisposable
{
    private const int MaxMatches = 500;

    // The workspace takes half a second and 100 MB, so it is created at the first request.
    private readonly Lazy<CellDocuments> _documents = new(() => new CellDocuments(session));
    private readonly List<string> _newCells = [];

    /// <summary>Adds a cell that ran, so that its names are known to later requests.</summary>
    public void AddCell(string code) => _newCells.Add(code);

    public JsonObject Complete(JsonObject content)
    {
        var code = content["code"]?.ToString() ?? "";
        var cursor = CodePoints.ToIndex(code, content["cursor_pos"]?.GetValue<int>() ?? 0);
        var lineStart = cursor == 0 ? 0 : code.LastIndexOf('\n', cursor - 1) + 1;
        if (code.AsSpan(lineStart).StartsWith("#!"))
        {
            var written = code[(lineStart + 2)..cursor];
            if (CommandLine().Match(written) is { Success: true } command)
            {
                var line = command.Groups[1].Value;
                var words = commands.Complete(line).Select(word => (word, "keyword"));
                return Matches(code, cursor - (line.Length - line.LastIndexOfAny([' ', '\t']) - 1), cursor, [.. words]);
            }
            var names = Directives.Names.Where(name => name.StartsWith(written, StringComparison.Ordinal));
            return Matches(code, lineStart + 2, cursor, [.. names.Select(name => (name, "keyword"))]);
        }
        var document = Document(code);
        var service = CompletionService.GetService(document)!;
        var list = service.GetCompletionsAsync(document, cursor).GetAwaiter().GetResult();
        var start = list.ItemsList.Count == 0 ? cursor : list.Span.Start;
        var matches = Ordered(list.ItemsList, code[start..cursor]).Select(item => (item.DisplayText, Kind(item)));
        return Matches(code, start, cursor, [.. matches.DistinctBy(match => match.DisplayText).Take(MaxMatches)]);
    }

    public JsonObject Inspect(JsonObject content)
    {
        var code = content["code"]?.ToString() ?? "";
        var cursor = CodePoints.ToIndex(code, content["cursor_pos"]?.GetValue<int>() ?? 0);
        var document = Document(code);
        var text = Hover(document, cursor) ?? (cursor > 0 ? Hover(document, cursor - 1) : null) ?? Signatures.Around(document, cursor);
        return new JsonObject
        {
            ["found"] = text is not null,
            ["data"] = text is null ? new JsonObject() : new JsonObject { ["text/plain"] = text },
            ["metadata"] = new JsonObject(),
        };
    }

    /// <summary>Whether Enter should run the text or begin another line.</summary>
    public static JsonObject IsComplete(JsonObject content)
    {
        var parts = CellText.Split(content["code"]?.ToString() ?? "");
        if (parts is not [.., { Directive: "csharp" } part]) return new JsonObject { ["status"] = "complete" };
        var tree = CSharpSyntaxTree.ParseText(part.Text, CSharpSession.ParseOptions);
        if (!SyntaxFactory.IsCompleteSubmission(tree)) return new JsonObject { ["status"] = "incomplete", ["indent"] = "" };
        var hasErrors = tree.GetDiagnostics().Any(d => d.Severity == DiagnosticSeverity.Error);
        return new JsonObject { ["status"] = hasErrors ? "invalid" : "complete" };
    }

    public void Dispose()
    {
        if (_documents.IsValueCreated) _documents.Value.Dispose();
    }

    // Items in the case of the prefix come first.
    private static IEnumerable<CompletionItem> Ordered(IEnumerable<CompletionItem> items, string prefix) =>
        items.Where(item => item.FilterText.StartsWith(prefix, StringComparison.OrdinalIgnoreCase))
            .OrderByDescending(item => item.FilterText.StartsWith(prefix, StringComparison.Ordinal))
            .ThenBy(item => item.SortText, StringComparer.OrdinalIgnoreCase);

    private static string Kind(CompletionItem item) => item.Tags.Length > 0 ? item.Tags[0].ToLowerInvariant() : "text";

    private static string? Hover(Document document, int position)
    {
        var item = QuickInfoService.GetService(document)!.GetQuickInfoAsync(document, position).GetAwaiter().GetResult();
        if (item is null) return null;
        var sections = item.Sections.Select(section => string.Concat(section.TaggedParts.Select(part => part.Text)).Trim());
        return string.Join('\n', sections.Where(section => section.Length > 0)) is { Length: > 0 } text ? text : null;
    }

    private static JsonObject Matches(string code, int start, int end, IReadOnlyList<(string Text, string Kind)> matches)
    {
        var (first, last) = (CodePoints.FromIndex(code, start), CodePoints.FromIndex(code, end));
        return new JsonObject
        {
            ["matches"] = new JsonArray([.. matches.Select(match => JsonValue.Create(match.Text))]),
            ["cursor_start"] = first,
            ["cursor_end"] = last,
            ["metadata"] = new JsonObject
            {
                ["_jupyter_types_experimental"] = new JsonArray([.. matches.Select(Typed)]),
            },
        };

        JsonObject Typed((string Text, string Kind) match) =>
            new() { ["text"] = match.Text, ["type"] = match.Kind, ["start"] = first, ["end"] = last };
    }

    [GeneratedRegex(@"^koala[ \t]+(.*)$")]
    private static partial Regex CommandLine();

    private Document Document(string code)
    {
        foreach (var cell in _newCells) _documents.Value.Add(cell);
        _newCells.Clear();
        return _documents.Value.Current(code);
    }
}
