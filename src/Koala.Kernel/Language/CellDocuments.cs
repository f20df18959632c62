using System.Globalization;
using System.Text.RegularExpressions;
using Koala.Kernel.Scripting;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Host.Mef;
using Microsoft.CodeAnalysis.Text;

namespace Koala.Kernel.Language;

/// <summary>The cells so far, and the one being written, as documents of the compiler's workspace.</summary>
internal sealed partial class CellDocuments : IDisposable
{
    private readonly AdhocWorkspace _workspace = new(MefHostServices.DefaultHost);
    private readonly CSharpCompilationOptions _options;
    private readonly CSharpSession _session;
    private readonly IReadOnlyList<MetadataReference> _framework = FrameworkReferences.Load();
    private readonly Queue<string> _pending = [];
    private Solution _solution;
    private ProjectId? _latest;
    private int _count;

    public CellDocuments(CSharpSession session)
    {
        _session = session;
        _options = new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary, usings: CSharpSession.Imports, allowUnsafe: true)
            .WithMetadataReferenceResolver(session.References)
            .WithSourceReferenceResolver(new CellSources(CSharpSession.ParseOptions));
        _solution = _workspace.CurrentSolution;
    }

    /// <summary>A cell that ran: its names are known from now on.</summary>
    public void Add(string code) => _pending.Enqueue(code);

    /// <summary>The text being written, behind all cells that ran.</summary>
    public Document Current(string code)
    {
        while (_pending.TryDequeue(out var ran)) (_solution, _latest, _) = With(ran);
        var (solution, _, document) = With(code);
        return solution.GetDocument(document)!;
    }

    public void Dispose() => _workspace.Dispose();

    private (Solution Solution, ProjectId Project, DocumentId Document) With(string code)
    {
        var name = $"cell-{(++_count).ToString(CultureInfo.InvariantCulture)}";
        var project = ProjectId.CreateNewId(name);
        var document = DocumentId.CreateNewId(project, name);
        var solution = _solution
            .AddProject(ProjectInfo.Create(project, VersionStamp.Create(), name, name, LanguageNames.CSharp, isSubmission: true)
                .WithCompilationOptions(_options.WithScriptClassName(name.Replace('-', '_')))
                .WithParseOptions(CSharpSession.ParseOptions)
                .WithMetadataReferences(_framework.Concat(_session.AddedReferences))
                .WithProjectReferences(_latest is null ? [] : [new ProjectReference(_latest)]))
            .AddDocument(DocumentInfo.Create(document, name, sourceCodeKind: SourceCodeKind.Script,
                loader: TextLoader.From(TextAndVersion.Create(SourceText.From(OnlyCSharp(code)), VersionStamp.Create()))));
        return (solution, project, document);
    }

    // Blanks in place of lines that the compiler does not know: places stay as they are.
    private static string OnlyCSharp(string code) => ForeignLine().Replace(code, line => new string(' ', line.Length));

    [GeneratedRegex("""^[ \t]*(#!.*|#[ri][ \t]+"nuget:.*)$""", RegexOptions.Multiline)]
    private static partial Regex ForeignLine();
}
