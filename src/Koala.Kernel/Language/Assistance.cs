using System.Text.Json.Nodes;
using Koala.Kernel.Scripting;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Koala.Kernel.Language;

/// <summary>Answers what front ends ask while a person writes.</summary>
internal sealed class Assistance(CSharpSession session)
{
    public JsonObject Complete(JsonObject content) => new() { ["matches"] = new JsonArray(), ["cursor_start"] = 0, ["cursor_end"] = 0, ["metadata"] = new JsonObject() };

    public JsonObject Inspect(JsonObject content) => new() { ["found"] = false, ["data"] = new JsonObject(), ["metadata"] = new JsonObject() };

    /// <summary>Takes a cell that ran into account.</summary>
    public void Follow(string code, bool succeeded) { _ = session; }

    /// <summary>Whether Enter should run the text or begin another line.</summary>
    public static JsonObject IsComplete(JsonObject content)
    {
        if (CellText.Split(content["code"]?.ToString() ?? "") is not [.., { Directive: "csharp" } part]) return new JsonObject { ["status"] = "complete" };
        var tree = CSharpSyntaxTree.ParseText(part.Text, CSharpSession.ParseOptions);
        if (!SyntaxFactory.IsCompleteSubmission(tree)) return new JsonObject { ["status"] = "incomplete", ["indent"] = "" };
        return new JsonObject { ["status"] = tree.GetDiagnostics().Any(d => d.Severity == DiagnosticSeverity.Error) ? "invalid" : "complete" };
    }
}
