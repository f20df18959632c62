using System.Runtime.CompilerServices;
using System.Runtime.Loader;
using System.Text;
using Koala.Kernel.Display;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Scripting;
using Microsoft.CodeAnalysis.Emit;
using Microsoft.CodeAnalysis.Scripting;

namespace Koala.Kernel.Scripting;

/// <summary>The outcome of running a piece of C#.</summary>
/// <param name="HasValue">Whether the code ended in an expression.</param>
/// <param name="Value">The value of that expression.</param>
/// <param name="Error">The error; null if the code succeeded.</param>
internal sealed record CSharpOutcome(bool HasValue, object? Value, CellError? Error);

/// <summary>Runs C# cells one after the other. Each cell sees what the earlier ones declared.</summary>
internal sealed class CSharpSession : IDisposable
{
    /// <summary>
    /// The namespaces and types that cells use without a directive. They are those of .NET Interactive; with more of
    /// them, notebooks would run only in this kernel.
    /// </summary>
    public static readonly string[] Imports =
    [
        "System", "System.Text", "System.Collections", "System.Collections.Generic", "System.Threading.Tasks", "System.Linq",
        "Microsoft.DotNet.Interactive.Kernel",
    ];

    public static readonly CSharpParseOptions ParseOptions = new(LanguageVersion.CSharp14, kind: SourceCodeKind.Script);

    // Cells can use these types without #r.
    private static readonly Type[] s_displayTypes =
    [
        typeof(Microsoft.DotNet.Interactive.Kernel),
        typeof(Microsoft.DotNet.Interactive.Formatting.Formatter),
        typeof(Microsoft.AspNetCore.Html.IHtmlContent),
    ];

    private readonly AssemblyLoading _loading;
    private readonly CellErrors _errors = new();
    private ScriptOptions _options;
    private readonly List<MetadataReference> _added = [];
    private ScriptState<object>? _state;
    private int _runs;

    public CSharpSession()
    {
        References = new References();
        _added.AddRange(s_displayTypes.Select(type => References.FromAssembly(type.Assembly)));
        _loading = new AssemblyLoading(References);
        _options = ScriptOptions.Default
            .WithMetadataResolver(References)
            .WithSourceResolver(new CellSources(ParseOptions))
            // The default list lacks these, but LINQ, `dynamic` and everyday code need them. Each reference costs
            // memory in every cell.
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

    /// <summary>The variables of all cells. Of several variables with the same name it has the latest.</summary>
    public IEnumerable<ScriptVariable> Variables => _state is null ? [] : _state.Variables.Reverse().DistinctBy(v => v.Name).Reverse();

    /// <summary>Loads and JIT-compiles the compiler, so that the first cell does not wait for it.</summary>
    public void WarmUp()
    {
        var code = InterruptRewriter.Rewrite("var x = 1; for (var i = 0; i < 1; i++) x += i; Console.Write(\"\"); x", ParseOptions);
        var script = CSharpScript.Create<object>(code, _options.WithFilePath("warm-up"), assemblyLoader: _loading.Loader);
        script.Compile();
        script.RunAsync().GetAwaiter().GetResult();
    }

    /// <summary>Makes the assemblies of restored packages known to the cells that follow.</summary>
    public void AddReferences(IEnumerable<string> files)
    {
        var added = files.Select(References.OfPackage).ToArray();
        _added.AddRange(added);
        _options = _options.AddReferences(added);
    }

    /// <summary>The references of the cells besides the framework.</summary>
    public IEnumerable<MetadataReference> AddedReferences => _added;

    /// <summary>
    /// Compiles and runs a cell. If the cell throws, the exception is part of the outcome. The values that the cell assigned before it
    /// threw or was interrupted stay.
    /// </summary>
    public async Task<CSharpOutcome> RunAsync(string code, int number, CancellationToken cancel)
    {
        var run = Interlocked.Increment(ref _runs);
        var name = _errors.Add(number, code);
        if (ExtensionLibrary.Extract(code, name) is var (rest, library))
        {
            var failure = AddLibrary(library, name);
            if (failure is not null) return new CSharpOutcome(false, null, failure);
            code = rest;
        }
        var script = CreateScript(InterruptRewriter.Rewrite(code, ParseOptions), name);
        var errors = Compile(script, cancel);
        // An older assembly that is loaded is the cause of errors about types of one name.
        _loading.CheckFiles(script.GetCompilation());
        if (errors.Length > 0)
        {
            // The original code is compiled too, because the rewritten code has other columns.
            var originalErrors = Compile(CreateScript(code, name), cancel);
            return new CSharpOutcome(false, null, _errors.FromDiagnostics(originalErrors.Length > 0 ? originalErrors : errors));
        }
        if (CancellationRewriter.Rewrite(script.GetCompilation(), name) is { } codeWithTokens)
        {
            var scriptWithTokens = CreateScript(codeWithTokens, name);
            if (Compile(scriptWithTokens, cancel).Length == 0) script = scriptWithTokens;
        }
        _loading.Load(script.GetCompilation());
        var state = await (_state is null ? script.RunAsync(null, _ => true, cancel) : script.RunFromAsync(_state, _ => true, cancel));
        Keep(state, run);
        cancel.ThrowIfCancellationRequested();
        return state.Exception is null
            ? new CSharpOutcome(HasReturnValue(script), state.ReturnValue, null)
            : new CSharpOutcome(false, null, _errors.FromException(state.Exception));
    }

    /// <summary>Declares a variable of the cells that follow.</summary>
    /// <param name="name">The name, which C# allows.</param>
    /// <param name="value">The value, whose type is public and not generic.</param>
    /// <param name="number">The execution count of the cell.</param>
    /// <param name="cancel">A token that is cancelled when the cell is interrupted.</param>
    /// <returns>Why it failed; null if it succeeded.</returns>
    public async Task<CellError?> AssignAsync(string name, object value, int number, CancellationToken cancel)
    {
        var type = value.GetType();
        AddReferences([(type.GetElementType() ?? type).Assembly.Location]);
        var typeName = $"global::{type.FullName!.Replace('+', '.')}";
        AssignedValue.Current = value;
        var code = $"var {name} = ({typeName})global::{typeof(AssignedValue).FullName}.{nameof(AssignedValue.Current)};";
        return (await RunAsync(code, number, cancel)).Error;
    }

    public void Dispose() => _loading.Dispose();

    // A cell that was given up may end after a later one has begun, whose variables it must not replace.
    private void Keep(ScriptState<object> state, int run)
    {
        lock (_loading)
            if (run == Volatile.Read(ref _runs)) _state = state;
    }

    private CellError? AddLibrary(string library, string name)
    {
        // Compiling a script finds its default references, which no list of the script has; they are then in
        // References.Used.
        if (_state is null) CreateScript("", name).Compile();
        var references = References.Used.Append(References.FromAssembly(typeof(object).Assembly)).Concat(_added).Distinct();
        var code = InterruptRewriter.Rewrite(library, ParseOptions.WithKind(SourceCodeKind.Regular));
        using var image = new MemoryStream();
        var options = new EmitOptions(debugInformationFormat: DebugInformationFormat.Embedded);
        var emitted = ExtensionLibrary.Compile(code, name, references).Emit(image, options: options);
        if (!emitted.Success) return _errors.FromDiagnostics(emitted.Diagnostics.Where(d => d.Severity == DiagnosticSeverity.Error));
        image.Position = 0;
        _loading.Loader.RegisterDependency(AssemblyLoadContext.Default.LoadFromStream(image));
        var reference = MetadataReference.CreateFromImage(image.ToArray());
        _added.Add(reference);
        _options = _options.AddReferences(reference);
        return null;
    }

    private Script<object> CreateScript(string code, string name) => _state is null
        ? CSharpScript.Create<object>(code, _options.WithFilePath(name), assemblyLoader: _loading.Loader)
        : _state.Script.ContinueWith<object>(code, _options.WithFilePath(name));

    private static Diagnostic[] Compile(Script script, CancellationToken cancel) =>
        [.. script.Compile(cancel).Where(d => d.Severity == DiagnosticSeverity.Error)];

    // ReturnValue is null both for a script without a value and for one whose value is null.
    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "HasReturnValue")]
    private static extern bool HasReturnValue(Script script);
}
