using System.Text.Json.Nodes;
using Koala.Kernel.Scripting;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Completion;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.QuickInfo;

namespace Koala.Kernel.Language;

/// <summary>Answers what front ends ask while a person writes.</summary>
internal sealed class Completion(CSharpSession session) : IDisposable
{
    private const int MostMatches = 500;

    // Half a second and 100 MB: only who asks pays.
    private readonly Lazy<CellDocuments> _documents = new(() => new CellDocuments(session));
    private readonly List<string> _ran = [];

    /// <summary>Takes a cell that ran into account.</summary>
    public void Follow(string code) => _ran.Add(code);

    public JsonObject Complete(JsonObject content)
    {
        var code = content["code"]?.ToString() ?? "";
        var at = CodePoints.ToIndex(code, content["cursor_pos"]?.GetValue<int>() ?? 0);
        var lineStart = at == 0 ? 0 : code.LastIndexOf('\n', at - 1) + 1;
        if (code.AsSpan(lineStart).StartsWith("#!"))
        {
            var begun = code[(lineStart + 2)..at];
            return Matches(code, lineStart + 2, at, [.. Directives.Names.Where(name => name.StartsWith(begun, StringComparison.Ordinal)).Select(name => (name, "keyword"))]);
        }
        var document = Document(code);
        var service = CompletionService.GetService(document)!;
        var list = service.GetCompletionsAsync(document, at).GetAwaiter().GetResult();
        var prefix = list.ItemsList.Count == 0 ? "" : code[list.Span.Start..at];
        var matches = list.ItemsList.Where(item => item.FilterText.StartsWith(prefix, StringComparison.OrdinalIgnoreCase))
            .OrderByDescending(item => item.FilterText.StartsWith(prefix, StringComparison.Ordinal)).ThenBy(item => item.SortText, StringComparer.OrdinalIgnoreCase)
            .Select(item => (Text: item.DisplayText, Kind: item.Tags.Length > 0 ? item.Tags[0].ToLowerInvariant() : "text"))
            .DistinctBy(match => match.Text).Take(MostMatches).ToArray();
        return Matches(code, list.ItemsList.Count == 0 ? at : list.Span.Start, at, matches);
    }

    public JsonObject Inspect(JsonObject content)
    {
        var code = content["code"]?.ToString() ?? "";
        var at = CodePoints.ToIndex(code, content["cursor_pos"]?.GetValue<int>() ?? 0);
        var document = Document(code);
        var text = Hover(document, at) ?? (at > 0 ? Hover(document, at - 1) : null) ?? Signatures.Around(document, at);
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
        if (CellText.Split(content["code"]?.ToString() ?? "") is not [.., { Directive: "csharp" } part]) return new JsonObject { ["status"] = "complete" };
        var tree = CSharpSyntaxTree.ParseText(part.Text, CSharpSession.ParseOptions);
        if (!SyntaxFactory.IsCompleteSubmission(tree)) return new JsonObject { ["status"] = "incomplete", ["indent"] = "" };
        return new JsonObject { ["status"] = tree.GetDiagnostics().Any(d => d.Severity == DiagnosticSeverity.Error) ? "invalid" : "complete" };
    }

    public void Dispose()
    {
        if (_documents.IsValueCreated) _documents.Value.Dispose();
    }

    private static string? Hover(Document document, int at)
    {
        var item = QuickInfoService.GetService(document)!.GetQuickInfoAsync(document, at).GetAwaiter().GetResult();
        if (item is null) return null;
        var sections = item.Sections.Select(section => string.Concat(section.TaggedParts.Select(part => part.Text)).Trim()).Where(section => section.Length > 0);
        return string.Join('\n', sections) is { Length: > 0 } text ? text : null;
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
                ["_jupyter_types_experimental"] = new JsonArray([.. matches.Select(match => new JsonObject { ["text"] = match.Text, ["type"] = match.Kind, ["start"] = first, ["end"] = last })]),
            },
        };
    }

    private Document Document(string code)
    {
        foreach (var ran in _ran) _documents.Value.Add(ran);
        _ran.Clear();
        return _documents.Value.Current(code);
    }
}
