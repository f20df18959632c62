using System.Text.Json;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Runs;

/// <summary>One line of metrics.jsonl.</summary>
/// <param name="Step">The step, from 0, rising from line to line.</param>
/// <param name="Values">Numbers by name, as <c>loss</c> or <c>seconds</c>. One that is not finite is null in the file and NaN when read back.</param>
public sealed record MetricsLine(int Step, IReadOnlyDictionary<string, double> Values);

/// <summary>metrics.jsonl: a line a step, each step once, whatever happened to the run.</summary>
/// <remarks>
/// A line is handed to the operating system when it is appended, so that it outlives the process; <see cref="Sync"/> puts it on
/// disk. A line is complete if it ends with a line feed: of a run that was killed the last one may not be, and is then as good as
/// never written. JSON has no NaN and no infinity, and a reader that is not ours must be able to read the file: both become null.
/// </remarks>
public sealed class MetricsLog : IDisposable
{
    private readonly string _path;
    private readonly FileStream _file;
    private int _last;

    private MetricsLog(string path, FileStream file, int last)
    {
        _path = path;
        _file = file;
        _last = last;
    }

    /// <summary>Begins an empty log; one that exists is emptied.</summary>
    /// <exception cref="KoalaException">The file cannot be written.</exception>
    public static MetricsLog Create(string path) => Open(path, keep: 0, last: -1);

    /// <summary>Opens the log of a run that goes on after <paramref name="step"/>: later lines, and a half-written last one, are cut off. Without a log it begins one.</summary>
    /// <param name="path">The file.</param>
    /// <param name="step">The step of the state that the run goes on from.</param>
    /// <exception cref="KoalaException">A line but the last is malformed, or the file cannot be written.</exception>
    public static MetricsLog Resume(string path, int step)
    {
        var keep = 0L;
        var last = -1;
        foreach (var (line, end) in Lines(path))
        {
            if (line.Step > step) break;
            (keep, last) = (end, line.Step);
        }
        return Open(path, keep, last);
    }

    /// <summary>All complete lines, in order; also of a run that is still at work. None without a file.</summary>
    /// <exception cref="KoalaException">A line but the last is malformed, or the file cannot be read.</exception>
    public static IReadOnlyList<MetricsLine> Read(string path) => [.. Lines(path).Select(l => l.Line)];

    /// <summary>Appends a line.</summary>
    /// <param name="step">Beyond the last line's step.</param>
    /// <param name="values">Numbers by name; <c>step</c> is no name for one.</param>
    /// <exception cref="KoalaException">The disk is full.</exception>
    public void Append(int step, IEnumerable<KeyValuePair<string, double>> values)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(step, _last);
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = JsonFormat.Line.Encoder }))
        {
            json.WriteStartObject();
            json.WriteNumber("step", step);
            foreach (var (name, value) in values)
            {
                if (name == "step") throw new ArgumentException("step is no name of a value", nameof(values));
                if (double.IsFinite(value)) json.WriteNumber(name, value);
                else json.WriteNull(name);
            }
            json.WriteEndObject();
        }
        buffer.WriteByte((byte)'\n');
        InFile(() => _file.Write(buffer.GetBuffer(), 0, (int)buffer.Length));
        _last = step;
    }

    /// <summary>Puts all lines on disk. Before a checkpoint is saved: the log must not be older than the state.</summary>
    /// <exception cref="KoalaException">The disk is full.</exception>
    public void Sync() => InFile(() => _file.Flush(flushToDisk: true));

    /// <summary>Closes the file.</summary>
    public void Dispose() => _file.Dispose();

    private static MetricsLog Open(string path, long keep, int last)
    {
        try
        {
            // No buffer: each line is one write.
            var file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read, bufferSize: 0);
            file.SetLength(keep);
            file.Position = keep;
            return new MetricsLog(path, file, last);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw CannotWrite(path, e);
        }
    }

    private static IEnumerable<(MetricsLine Line, long End)> Lines(string path)
    {
        var bytes = ReadBytes(path);
        var (start, number, last) = (0, 0, -1);
        while (start < bytes.Length)
        {
            number++;
            var length = bytes.AsSpan(start).IndexOf((byte)'\n');
            // Without a line feed a line is half-written, and it can only be the last.
            if (length < 0) yield break;
            var end = start + length + 1;
            var fault = Parse(bytes.AsMemory(start, length), last, out var line);
            if (fault is not null)
            {
                // After a power cut the file may be longer than what was written of it.
                if (end == bytes.Length) yield break;
                throw new KoalaException($"{path}:{number}", $"is no line of metrics ({fault})", "restore the file, or remove the line");
            }
            yield return (line!, end);
            (start, last) = (end, line!.Step);
        }
    }

    private static byte[] ReadBytes(string path)
    {
        try
        {
            // A run that is at work has the file open for writing.
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            using var all = new MemoryStream();
            file.CopyTo(all);
            return all.ToArray();
        }
        catch (FileNotFoundException)
        {
            return [];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KoalaException(path, $"cannot be read ({e.Message.TrimEnd('.')})", "make the file readable", e);
        }
    }

    /// <summary>Reads one line; what is wrong with it, or null.</summary>
    private static string? Parse(ReadOnlyMemory<byte> text, int last, out MetricsLine? line)
    {
        line = null;
        try
        {
            using var document = JsonDocument.Parse(text);
            if (document.RootElement.ValueKind != JsonValueKind.Object) return "it is no object";
            int? step = null;
            var values = new Dictionary<string, double>();
            foreach (var (name, value) in document.RootElement.EnumerateObject().Select(p => (p.Name, p.Value)))
            {
                if (name == "step" && value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number)) step = number;
                else if (value.ValueKind is not (JsonValueKind.Number or JsonValueKind.Null)) return $"{name} is no number";
                else if (!values.TryAdd(name, value.ValueKind == JsonValueKind.Null ? double.NaN : value.GetDouble())) return $"{name} stands in it twice";
            }
            if (step is null) return "it has no step";
            if (step <= last) return $"step {step} follows step {last}";
            line = new MetricsLine(step.Value, values);
            return null;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // The latter: a name that is no Unicode text.
            return e.Message.ReplaceLineEndings(" ").TrimEnd('.');
        }
    }

    private void InFile(Action write)
    {
        try
        {
            write();
        }
        catch (IOException e)
        {
            throw CannotWrite(_path, e);
        }
    }

    private static KoalaException CannotWrite(string path, Exception e) =>
        new(path, $"cannot be written ({e.Message.TrimEnd('.')})", "free space, or make the file writable", e);
}
