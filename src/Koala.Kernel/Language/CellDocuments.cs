using System.Globalization;
using System.Text.RegularExpressions;
using Koala.Kernel.Scripting;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Host.Mef;
using Microsoft.CodeAnalysis.Text;

namespace Koala.Kernel.Language;

/// <summary>Holds the cells that ran, and the one being written, as documents of a compiler workspace.</summary>
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

    /// <summary>Adds a cell that ran, so that later cells know its names.</summary>
    public void Add(string code) => _pending.Enqueue(code);

    /// <summary>Creates a document of the cell that is being written, which follows all cells that ran.</summary>
    public Document Current(string code)
    {
        while (_pending.TryDequeue(out var cell)) (_solution, _latest, _) = WithCell(cell);
        var (solution, _, document) = WithCell(code);
        return solution.GetDocument(document)!;
    }

    public void Dispose() => _workspace.Dispose();

    private (Solution Solution, ProjectId Project, DocumentId Document) WithCell(string code)
    {
        var name = $"cell-{(++_count).ToString(CultureInfo.InvariantCulture)}";
        var projectId = ProjectId.CreateNewId(name);
        var project = ProjectInfo.Create(projectId, VersionStamp.Create(), name, name, LanguageNames.CSharp, isSubmission: true)
            .WithCompilationOptions(_options.WithScriptClassName(name.Replace('-', '_')))
            .WithParseOptions(CSharpSession.ParseOptions)
            .WithMetadataReferences(_framework.Concat(_session.AddedReferences))
            .WithProjectReferences(_latest is null ? [] : [new ProjectReference(_latest)]);
        var documentId = DocumentId.CreateNewId(projectId, name);
        var text = TextAndVersion.Create(SourceText.From(BlankForeignLines(code)), VersionStamp.Create());
        var document = DocumentInfo.Create(documentId, name, sourceCodeKind: SourceCodeKind.Script, loader: TextLoader.From(text));
        return (_solution.AddProject(project).AddDocument(document), projectId, documentId);
    }

    // Lines that the compiler does not know become blanks of the same length, so that all positions stay as they are.
    private static string BlankForeignLines(string code) => ForeignLine().Replace(code, line => new string(' ', line.Length));

    [GeneratedRegex("""^[ \t]*(#!.*|#[ri][ \t]+"nuget:.*)$""", RegexOptions.Multiline)]
    private static partial Regex ForeignLine();
}
