using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;
using Koala.Kernel.Display;
using Microsoft.CodeAnalysis;

namespace Koala.Kernel.Scripting;

/// <summary>Creates errors that name the cell and the line, and show the text of the line.</summary>
internal sealed class CellErrors
{
    private const string Prefix = "cell-";

    private readonly ConcurrentDictionary<string, string[]> _lines = [];

    /// <summary>Stores the text of a cell.</summary>
    /// <returns>The name under which the cell is compiled.</returns>
    public string Add(int number, string code)
    {
        var name = Prefix + number.ToString(CultureInfo.InvariantCulture);
        _lines[name] = code.Split('\n');
        return name;
    }

    public CellError FromDiagnostics(IEnumerable<Diagnostic> errors)
    {
        var traceback = errors.OrderBy(error => error.Location.SourceSpan.Start).SelectMany(Lines).ToArray();
        return new CellError("CompilationError", traceback.Length > 0 ? traceback[0] : "", traceback);
    }

    public CellError FromException(Exception exception)
    {
        // These exceptions only wrap the actual one.
        while (exception is AggregateException { InnerExceptions.Count: 1 } or TargetInvocationException or TypeInitializationException
            && exception.InnerException is { } cause)
            exception = cause;
        var traceback = new List<string>();
        for (var e = exception; e is not null; e = e.InnerException)
        {
            var prefix = traceback.Count > 0 ? "caused by " : "";
            var message = Fault.Is(e) ? e.Message : $"{e.GetType().FullName}: {e.Message}";
            traceback.AddRange($"{prefix}{message}".ReplaceLineEndings("\n").Split('\n'));
            traceback.AddRange(Frames(e));
        }
        return new CellError(exception.GetType().Name, exception.Message, traceback);
    }

    private IEnumerable<string> Lines(Diagnostic diagnostic)
    {
        var message = $"error {diagnostic.Id}: {diagnostic.GetMessage(CultureInfo.InvariantCulture)}";
        if (!diagnostic.Location.IsInSource)
        {
            yield return message;
            yield break;
        }
        var span = diagnostic.Location.GetMappedLineSpan();
        var (start, end) = (span.StartLinePosition, span.EndLinePosition);
        var position = string.Create(CultureInfo.InvariantCulture, $"{Position(span.Path, start.Line + 1)}, column {start.Character + 1}");
        yield return $"{position}: {message}";
        if (Line(span.Path, start.Line + 1) is not { } line) yield break;
        yield return "    " + line;
        // Tabs stay tabs, so that the marks are below the text that they mark.
        var indent = string.Concat(line[..Math.Min(start.Character, line.Length)].Select(c => c == '\t' ? '\t' : ' '));
        var length = end.Line == start.Line ? end.Character - start.Character : 1;
        yield return "    " + indent + new string('^', Math.Max(1, length));
    }

    private IEnumerable<string> Frames(Exception exception)
    {
        foreach (var frame in new StackTrace(exception, fNeedFileInfo: true).GetFrames())
        {
            var method = frame.GetMethod();
            var file = frame.GetFileName();
            var number = frame.GetFileLineNumber();
            if (file is not null && number > 0 && (IsCell(file) || file.EndsWith(".csx", StringComparison.Ordinal)))
            {
                var text = Line(file, number) is { } line ? $": {line.Trim()}" : "";
                yield return $"   at {Position(file, number)}{text}";
                continue;
            }
            if (method?.DeclaringType is not { } type || IsInfrastructure(type)) continue;
            var source = file is null ? "" : string.Create(CultureInfo.InvariantCulture, $" in {Path.GetFileName(file)}:{number}");
            yield return $"   at {type.FullName?.Replace('+', '.')}.{method.Name}{source}";
        }
    }

    private bool IsCell(string file)
    {
        var name = Path.GetFileName(file);
        return name.StartsWith(Prefix, StringComparison.Ordinal) && _lines.ContainsKey(name);
    }

    // The types that run a cell, and the types that the compiler generates for it.
    private static bool IsInfrastructure(Type type) =>
        type.Namespace is "System.Runtime.CompilerServices" or "System.Runtime.ExceptionServices" or "Koala.Kernel.Scripting"
        || type.Namespace?.StartsWith("Microsoft.CodeAnalysis", StringComparison.Ordinal) == true
        || IsSubmission(type)
        || type.GetCustomAttribute<CompilerGeneratedAttribute>() is not null && IsSubmission(type.DeclaringType);

    private static bool IsSubmission(Type? type) => type?.FullName?.StartsWith("Submission#", StringComparison.Ordinal) == true;

    // In brackets, as Jupyter shows the execution count beside the cell: it is not the place of the cell in the notebook.
    private static string Position(string file, int line)
    {
        var name = Path.GetFileName(file);
        var source = name.StartsWith(Prefix, StringComparison.Ordinal) ? $"cell [{name[Prefix.Length..]}]" : file;
        return string.Create(CultureInfo.InvariantCulture, $"{source}, line {line}");
    }

    private string? Line(string file, int line)
    {
        if (!_lines.TryGetValue(Path.GetFileName(file), out var lines))
        {
            try
            {
                lines = File.Exists(file) ? File.ReadAllLines(file) : [];
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                lines = [];
            }
        }
        return line >= 1 && line <= lines.Length ? lines[line - 1].TrimEnd() : null;
    }
}
