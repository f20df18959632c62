using System.Text;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Koala.Kernel.Scripting;

/// <summary>
/// Inserts a check of <see cref="StopFlag"/> into every loop and before every <c>goto</c>, so that an interrupt
/// reaches code that never waits.
/// </summary>
/// <remarks>
/// The insertions add no line feed, so line numbers stay as they are, but columns after a check change. .NET has no
/// other way to stop a loop without harm to the process.
/// </remarks>
internal static class InterruptRewriter
{
    private const string Check = "global::Koala.Kernel.Scripting.StopFlag.Check();";

    private static readonly string[] s_keywords = ["for", "while", "goto"];

    public static string Rewrite(string code, CSharpParseOptions options)
    {
        // Most cells have no loop, and need not be parsed a second time.
        if (!s_keywords.Any(keyword => code.Contains(keyword, StringComparison.Ordinal))) return code;
        var walker = new Walker();
        walker.Visit(CSharpSyntaxTree.ParseText(code, options).GetRoot());
        if (walker.Insertions.Count == 0) return code;
        var rewritten = new StringBuilder(code);
        // The insertions begin at the end of the code, so that the positions before them stay valid. Insertions at the
        // same position are reversed, so that an outer statement opens first and closes last.
        var fromEnd = walker.Insertions.Index().OrderByDescending(x => x.Item.Position).ThenByDescending(x => x.Index);
        foreach (var (_, (position, text)) in fromEnd) rewritten.Insert(position, text);
        return rewritten.ToString();
    }

    private sealed class Walker : CSharpSyntaxWalker
    {
        public List<(int Position, string Text)> Insertions { get; } = [];

        public override void VisitWhileStatement(WhileStatementSyntax node) => Loop(node.Statement, () => base.VisitWhileStatement(node));

        public override void VisitDoStatement(DoStatementSyntax node) => Loop(node.Statement, () => base.VisitDoStatement(node));

        public override void VisitForStatement(ForStatementSyntax node) => Loop(node.Statement, () => base.VisitForStatement(node));

        public override void VisitForEachStatement(ForEachStatementSyntax node) =>
            Loop(node.Statement, () => base.VisitForEachStatement(node));

        public override void VisitForEachVariableStatement(ForEachVariableStatementSyntax node) =>
            Loop(node.Statement, () => base.VisitForEachVariableStatement(node));

        public override void VisitGotoStatement(GotoStatementSyntax node) => Wrap(node, () => base.VisitGotoStatement(node));

        private void Loop(StatementSyntax body, Action inner)
        {
            if (body is BlockSyntax { OpenBraceToken.IsMissing: false } block)
            {
                Insertions.Add((block.OpenBraceToken.Span.End, Check));
                inner();
            }
            else
            {
                Wrap(body, inner);
            }
        }

        private void Wrap(StatementSyntax statement, Action inner)
        {
            // A statement with syntax errors stays as it is, so that the compiler reports the errors of the original
            // text.
            if (statement.ContainsDiagnostics || statement.Span.IsEmpty)
            {
                inner();
                return;
            }
            Insertions.Add((statement.SpanStart, "{" + Check));
            inner();
            Insertions.Add((statement.Span.End, "}"));
        }
    }
}
