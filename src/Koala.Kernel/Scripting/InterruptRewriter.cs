using System.Text;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Koala.Kernel.Scripting;

/// <summary>Puts a look at <see cref="StopFlag"/> into every loop and before every <c>goto</c>, so that an interrupt reaches code that never waits.</summary>
/// <remarks>No line feed is added: lines stay as written, columns behind a check do not. .NET has no other way that stops a loop and leaves the process whole.</remarks>
internal static class InterruptRewriter
{
    private const string Check = "global::Koala.Kernel.Scripting.StopFlag.Check();";

    public static string Weave(string code, CSharpParseOptions options)
    {
        // Most cells have no loop; they are not parsed a second time.
        if (!code.Contains("for", StringComparison.Ordinal) && !code.Contains("while", StringComparison.Ordinal) && !code.Contains("goto", StringComparison.Ordinal)) return code;
        var walker = new Walker();
        walker.Visit(CSharpSyntaxTree.ParseText(code, options).GetRoot());
        if (walker.Insertions.Count == 0) return code;
        var woven = new StringBuilder(code);
        // From the end on, so that places stay right; at one place the outer opens first and closes last.
        foreach (var (position, text) in walker.Insertions.Select((insertion, order) => (insertion, order))
            .OrderByDescending(x => x.insertion.Position).ThenByDescending(x => x.order).Select(x => x.insertion))
            woven.Insert(position, text);
        return woven.ToString();
    }

    private sealed class Walker : CSharpSyntaxWalker
    {
        public List<(int Position, string Text)> Insertions { get; } = [];

        public override void VisitWhileStatement(WhileStatementSyntax node) => Loop(node.Statement, () => base.VisitWhileStatement(node));

        public override void VisitDoStatement(DoStatementSyntax node) => Loop(node.Statement, () => base.VisitDoStatement(node));

        public override void VisitForStatement(ForStatementSyntax node) => Loop(node.Statement, () => base.VisitForStatement(node));

        public override void VisitForEachStatement(ForEachStatementSyntax node) => Loop(node.Statement, () => base.VisitForEachStatement(node));

        public override void VisitForEachVariableStatement(ForEachVariableStatementSyntax node) => Loop(node.Statement, () => base.VisitForEachVariableStatement(node));

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
            // What does not parse is compiled as it is, for its errors.
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
