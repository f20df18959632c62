using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;
using Koala.Kernel.Display;
using Microsoft.CodeAnalysis;

namespace Koala.Kernel.Scripting;

/// <summary>Makes errors that say cell, line and the line's text.</summary>
internal sealed class CellErrors
{
    private const string Prefix = "cell-";

    private readonly ConcurrentDictionary<string, string[]> _lines = [];

    /// <summary>The name under which a cell is compiled, and its text remembered.</summary>
    public string Add(int number, string code)
    {
        var name = Prefix + number.ToString(CultureInfo.InvariantCulture);
        _lines[name] = code.Split('\n');
        return name;
    }

    public CellError Of(IEnumerable<Diagnostic> errors)
    {
        var shown = errors.OrderBy(d => d.Location.SourceSpan.Start).ToArray();
        var traceback = new List<string>();
        foreach (var diagnostic in shown)
        {
            if (!diagnostic.Location.IsInSource)
            {
                traceback.Add($"error {diagnostic.Id}: {diagnostic.GetMessage(CultureInfo.InvariantCulture)}");
                continue;
            }
            var place = diagnostic.Location.GetMappedLineSpan();
            traceback.Add(string.Create(CultureInfo.InvariantCulture,
                $"{Place(place.Path, place.StartLinePosition.Line + 1)}, column {place.StartLinePosition.Character + 1}: error {diagnostic.Id}: {diagnostic.GetMessage(CultureInfo.InvariantCulture)}"));
            if (Line(place.Path, place.StartLinePosition.Line + 1) is not { } line) continue;
            traceback.Add("    " + line);
            var before = line[..Math.Min(place.StartLinePosition.Character, line.Length)];
            var length = place.EndLinePosition.Line == place.StartLinePosition.Line ? place.EndLinePosition.Character - place.StartLinePosition.Character : 1;
            // Tabs stay tabs, so that the mark stands below its text.
            traceback.Add("    " + string.Concat(before.Select(c => c == '\t' ? '\t' : ' ')) + new string('^', Math.Max(1, length)));
        }
        return new CellError("CompilationError", traceback.Count > 0 ? traceback[0] : "", traceback);
    }

    public CellError Of(Exception exception)
    {
        // The await of several tasks, and the loader's wrapping of a type's initialiser, say nothing themselves.
        while (exception is AggregateException { InnerExceptions.Count: 1 } or TargetInvocationException or TypeInitializationException && exception.InnerException is { } cause) exception = cause;
        var traceback = new List<string>();
        for (var e = exception; e is not null; e = e.InnerException)
        {
            var head = Fault.Is(e) ? e.Message : $"{e.GetType().FullName}: {e.Message}";
            traceback.AddRange($"{(traceback.Count > 0 ? "caused by " : "")}{head}".ReplaceLineEndings("\n").Split('\n'));
            traceback.AddRange(Frames(e));
        }
        return new CellError(exception.GetType().Name, exception.Message, traceback);
    }

    private IEnumerable<string> Frames(Exception exception)
    {
        foreach (var frame in new StackTrace(exception, fNeedFileInfo: true).GetFrames())
        {
            var method = frame.GetMethod();
            var file = frame.GetFileName();
            var ours = file is not null && Path.GetFileName(file).StartsWith(Prefix, StringComparison.Ordinal) && _lines.ContainsKey(Path.GetFileName(file));
            if (file is not null && frame.GetFileLineNumber() > 0 && (ours || file.EndsWith(".csx", StringComparison.Ordinal)))
            {
                yield return $"   at {Place(file, frame.GetFileLineNumber())}{(Line(file, frame.GetFileLineNumber()) is { } line ? $": {line.Trim()}" : "")}";
                continue;
            }
            if (method?.DeclaringType is not { } type || IsMachinery(type)) continue;
            yield return $"   at {type.FullName?.Replace('+', '.')}.{method.Name}{(file is null ? "" : string.Create(CultureInfo.InvariantCulture, $" in {Path.GetFileName(file)}:{frame.GetFileLineNumber()}"))}";
        }
    }

    private static bool IsMachinery(Type type) =>
        type.Namespace is "System.Runtime.CompilerServices" or "System.Runtime.ExceptionServices" or "Koala.Kernel.Scripting"
        || type.Namespace?.StartsWith("Microsoft.CodeAnalysis", StringComparison.Ordinal) == true
        || type.FullName?.StartsWith("Submission#", StringComparison.Ordinal) == true
        || type.GetCustomAttribute<CompilerGeneratedAttribute>() is not null && type.DeclaringType?.FullName?.StartsWith("Submission#", StringComparison.Ordinal) == true;

    private static string Place(string file, int line)
    {
        var name = Path.GetFileName(file);
        return string.Create(CultureInfo.InvariantCulture, $"{(name.StartsWith(Prefix, StringComparison.Ordinal) ? $"cell {name[Prefix.Length..]}" : file)}, line {line}");
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
