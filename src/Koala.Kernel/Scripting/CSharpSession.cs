using System.Runtime.CompilerServices;
using System.Runtime.Loader;
using System.Text;
using Koala.Kernel.Display;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Scripting;
using Microsoft.CodeAnalysis.Scripting;

namespace Koala.Kernel.Scripting;

/// <summary>What came of a stretch of C#.</summary>
/// <param name="HasValue">Whether it ended in an expression.</param>
/// <param name="Value">That expression's value.</param>
/// <param name="Error">Why it failed; null: it did not.</param>
internal sealed record CSharpOutcome(bool HasValue, object? Value, CellError? Error);

/// <summary>C# cells one after the other, each seeing what the earlier ones declared.</summary>
internal sealed class CSharpSession : IDisposable
{
    /// <summary>Those of .NET Interactive and no more: with others a notebook would run here alone.</summary>
    public static readonly string[] Imports =
        ["System", "System.Text", "System.Collections", "System.Collections.Generic", "System.Threading.Tasks", "System.Linq", "Microsoft.DotNet.Interactive.Kernel"];

    public static readonly CSharpParseOptions ParseOptions = new(LanguageVersion.CSharp14, kind: SourceCodeKind.Script);

    private readonly AssemblyLoading _loading;
    private readonly CellErrors _errors = new();
    private ScriptOptions _options;
    private readonly List<MetadataReference> _added = [];
    private ScriptState<object>? _state;

    public CSharpSession()
    {
        References = new References();
        _added.AddRange(((Type[])[typeof(Microsoft.DotNet.Interactive.Kernel), typeof(Microsoft.DotNet.Interactive.Formatting.Formatter), typeof(Microsoft.AspNetCore.Html.IHtmlContent)]).Select(type => References.Of(type.Assembly)));
        _loading = new AssemblyLoading(References);
        _options = ScriptOptions.Default
            .WithMetadataResolver(References)
            .WithSourceResolver(new CellSources(ParseOptions))
            // Missing from the default list, but used by LINQ, `dynamic` and what cells do every day. Each reference costs memory in every cell.
            .AddReferences("System.Linq", "System.Linq.Expressions", "Microsoft.CSharp", "System.Net.Http", "System.Text.Json")
            .AddReferences(_added)
            .AddImports(Imports)
            .WithLanguageVersion(ParseOptions.LanguageVersion)
            .WithAllowUnsafe(true)
            .WithOptimizationLevel(OptimizationLevel.Release)
            .WithEmitDebugInformation(true)
            .WithFileEncoding(Encoding.UTF8);
    }

    public References References { get; }

    public AssemblyLoading Loading => _loading;

    public CellErrors Errors => _errors;

    /// <summary>The variables of all cells; of several with one name the latest.</summary>
    public IEnumerable<ScriptVariable> Variables => _state is null ? [] : _state.Variables.Reverse().DistinctBy(v => v.Name).Reverse();

    /// <summary>Loads and jits the compiler, so that the first cell does not wait for it.</summary>
    public void Warm()
    {
        var code = InterruptRewriter.Weave("var x = 1; for (var i = 0; i < 1; i++) x += i; Console.Write(\"\"); x", ParseOptions);
        var script = CSharpScript.Create<object>(code, _options.WithFilePath("warm-up"), assemblyLoader: _loading.Loader);
        script.Compile();
        script.RunAsync().GetAwaiter().GetResult();
    }

    /// <summary>Makes the assemblies of restored packages known to the cells that follow.</summary>
    public void AddReferences(IEnumerable<string> files)
    {
        var added = files.Select(References.OfFile).ToArray();
        _added.AddRange(added);
        _options = _options.AddReferences(added);
    }

    /// <summary>What cells refer to beyond the framework.</summary>
    public IEnumerable<MetadataReference> AddedReferences => _added;

    /// <summary>Compiles and runs; an exception of the cell is an outcome, what it assigned before stays.</summary>
    public async Task<CSharpOutcome> RunAsync(string code, int number, CancellationToken cancel)
    {
        var name = _errors.Add(number, code);
        if (ExtensionLibrary.Cut(code, name) is var (rest, library))
        {
            var failure = AddLibrary(library, name);
            if (failure is not null) return new CSharpOutcome(false, null, failure);
            code = rest;
        }
        var script = Make(InterruptRewriter.Weave(code, ParseOptions), name);
        var errors = Compile(script, cancel);
        if (errors.Length > 0)
        {
            // Once more as written, for the columns.
            var written = Compile(Make(code, name), cancel);
            return new CSharpOutcome(false, null, _errors.Of(written.Length > 0 ? written : errors));
        }
        if (CancellationRewriter.Pass(script.GetCompilation(), name) is { } passing && Make(passing, name) is var other && Compile(other, cancel).Length == 0) script = other;
        _loading.Load(script.GetCompilation());
        var state = await (_state is null ? script.RunAsync(null, _ => true, cancel) : script.RunFromAsync(_state, _ => true, cancel));
        cancel.ThrowIfCancellationRequested();
        _state = state;
        return state.Exception is null ? new CSharpOutcome(HasReturnValue(script), state.ReturnValue, null) : new CSharpOutcome(false, null, _errors.Of(state.Exception));
    }

    public void Dispose() => _loading.Dispose();

    private CellError? AddLibrary(string library, string name)
    {
        // The references that a script's own compilation finds by itself are in no list of it.
        if (_state is null) Make("", name).Compile();
        var compilation = ExtensionLibrary.Compile(InterruptRewriter.Weave(library, ParseOptions.WithKind(SourceCodeKind.Regular)), name, References.Used.Append(References.Of(typeof(object).Assembly)).Concat(_added).Distinct());
        using var image = new MemoryStream();
        var emitted = compilation.Emit(image, options: new Microsoft.CodeAnalysis.Emit.EmitOptions(debugInformationFormat: Microsoft.CodeAnalysis.Emit.DebugInformationFormat.Embedded));
        if (!emitted.Success) return _errors.Of(emitted.Diagnostics.Where(d => d.Severity == DiagnosticSeverity.Error));
        image.Position = 0;
        _loading.Loader.RegisterDependency(AssemblyLoadContext.Default.LoadFromStream(image));
        var reference = MetadataReference.CreateFromImage(image.ToArray());
        _added.Add(reference);
        _options = _options.AddReferences(reference);
        return null;
    }

    private Script<object> Make(string code, string name) => _state is null
        ? CSharpScript.Create<object>(code, _options.WithFilePath(name), assemblyLoader: _loading.Loader)
        : _state.Script.ContinueWith<object>(code, _options.WithFilePath(name));

    private static Diagnostic[] Compile(Script script, CancellationToken cancel) =>
        [.. script.Compile(cancel).Where(d => d.Severity == DiagnosticSeverity.Error)];

    // ReturnValue is null for "no value" and for null alike.
    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "HasReturnValue")]
    private static extern bool HasReturnValue(Script script);
}
