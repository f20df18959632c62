using System.Text.Json;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Runs;

/// <summary>One line of metrics.jsonl.</summary>
/// <param name="Step">The step, from 0, ascending from line to line.</param>
/// <param name="Values">
/// Numbers by name, for example <c>loss</c> or <c>seconds</c>. A number that is not finite is null in the file and NaN when it is read.
/// </param>
public sealed record MetricsLine(int Step, IReadOnlyDictionary<string, double> Values);

/// <summary>The file metrics.jsonl: one line per step, and each step once, even if the run was interrupted and resumed.</summary>
/// <remarks>
/// A line is given to the operating system when it is appended, so that it survives the process; <see cref="Sync"/> writes it to
/// disk. A line is complete if it ends with a line feed. If the run was killed, its last line may be incomplete and is then ignored.
/// JSON has no NaN and no infinity, and other programs must be able to read the file, so both are written as null.
/// </remarks>
public sealed class MetricsLog : IDisposable
{
    private readonly string _path;
    private readonly FileStream _file;
    private int _lastStep;

    private MetricsLog(string path, FileStream file, int lastStep, int count)
    {
        _path = path;
        _file = file;
        _lastStep = lastStep;
        Count = count;
    }

    /// <summary>The number of lines of the file.</summary>
    internal int Count { get; private set; }

    /// <summary>Creates an empty log, or empties the existing one.</summary>
    /// <exception cref="KoalaException">The file cannot be written.</exception>
    public static MetricsLog Create(string path) => Open(path, length: 0, lastStep: -1, count: 0);

    /// <summary>
    /// Opens the log of a run that continues after <paramref name="step"/>. Later lines and an incomplete last line are cut off. If
    /// there is no log, an empty one is created.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <param name="step">The step of the state that the run continues from.</param>
    /// <exception cref="KoalaException">A line other than the last is malformed, or the file cannot be written.</exception>
    public static MetricsLog Resume(string path, int step)
    {
        var length = 0L;
        var (lastStep, count) = (-1, 0);
        foreach (var (line, end) in Lines(path))
        {
            if (line.Step > step) break;
            (length, lastStep, count) = (end, line.Step, count + 1);
        }
        return Open(path, length, lastStep, count);
    }

    /// <summary>
    /// Reads all complete lines, in order, also those of a run that is still working. The result is empty if there is no file.
    /// </summary>
    /// <exception cref="KoalaException">A line other than the last is malformed, or the file cannot be read.</exception>
    public static IReadOnlyList<MetricsLine> Read(string path) => [.. Lines(path).Select(l => l.Line)];

    /// <summary>Appends a line.</summary>
    /// <param name="step">The step, which must be later than that of the last line.</param>
    /// <param name="values">Numbers by name; the name <c>step</c> is reserved.</param>
    /// <exception cref="KoalaException">The disk is full.</exception>
    public void Append(int step, IEnumerable<KeyValuePair<string, double>> values)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(step, _lastStep);
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = JsonFormat.Line.Encoder }))
        {
            json.WriteStartObject();
            json.WriteNumber("step", step);
            foreach (var (name, value) in values)
            {
                if (name == "step") throw new ArgumentException("A value cannot have the name step.", nameof(values));
                if (double.IsFinite(value)) json.WriteNumber(name, value);
                else json.WriteNull(name);
            }
            json.WriteEndObject();
        }
        buffer.WriteByte((byte)'\n');
        Guarded(() => _file.Write(buffer.GetBuffer(), 0, (int)buffer.Length));
        _lastStep = step;
        Count++;
    }

    /// <summary>
    /// Writes all lines to disk. This must be called before a checkpoint is saved, because the log must not be older than the state.
    /// </summary>
    /// <exception cref="KoalaException">The disk is full.</exception>
    public void Sync() => Guarded(() => _file.Flush(flushToDisk: true));

    /// <summary>Closes the file.</summary>
    public void Dispose() => _file.Dispose();

    private static MetricsLog Open(string path, long length, int lastStep, int count)
    {
        InputFile.CheckKind(path);
        try
        {
            // There is no buffer: each line is one write.
            var file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read, bufferSize: 0);
            file.SetLength(length);
            file.Position = length;
            return new MetricsLog(path, file, lastStep, count);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw CannotWrite(path, e);
        }
    }

    private static IEnumerable<(MetricsLine Line, long End)> Lines(string path)
    {
        var bytes = ReadBytes(path);
        var (start, number, lastStep) = (0, 0, -1);
        while (start < bytes.Length)
        {
            number++;
            var length = bytes.AsSpan(start).IndexOf((byte)'\n');
            // A line without a line feed is incomplete, and only the last line can be.
            if (length < 0) yield break;
            var end = start + length + 1;
            var fault = Parse(bytes.AsMemory(start, length), lastStep, out var line);
            if (fault is not null)
            {
                // After a power cut the file may be longer than the part that was written to disk.
                if (end == bytes.Length) yield break;
                throw new KoalaException($"{path}:{number}", $"is not a line of metrics ({fault})", "restore the file, or remove the line");
            }
            yield return (line!, end);
            (start, lastStep) = (end, line!.Step);
        }
    }

    private static byte[] ReadBytes(string path)
    {
        try
        {
            if (!File.Exists(path)) return [];
            // A run that is still working has the file open for writing.
            using var file = InputFile.Open(path, FileShare.ReadWrite);
            using var all = new MemoryStream();
            file.CopyTo(all);
            return all.ToArray();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KoalaException(path, $"cannot be read ({e.Message.TrimEnd('.')})", "make the file readable", e);
        }
    }

    /// <summary>Reads one line. Returns what is wrong with it, or null.</summary>
    private static string? Parse(ReadOnlyMemory<byte> text, int lastStep, out MetricsLine? line)
    {
        line = null;
        try
        {
            using var document = JsonDocument.Parse(text);
            if (document.RootElement.ValueKind != JsonValueKind.Object) return "it is not an object";
            int? step = null;
            var values = new Dictionary<string, double>();
            foreach (var (name, value) in document.RootElement.EnumerateObject().Select(p => (p.Name, p.Value)))
            {
                if (name == "step" && value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number))
                {
                    step = number;
                    continue;
                }
                if (value.ValueKind is not (JsonValueKind.Number or JsonValueKind.Null)) return $"{name} is not a number";
                var metric = value.ValueKind == JsonValueKind.Null ? double.NaN : value.GetDouble();
                if (!values.TryAdd(name, metric)) return $"{name} occurs twice in it";
            }
            if (step is null) return "it has no step";
            if (step <= lastStep) return $"step {step} follows step {lastStep}";
            line = new MetricsLine(step.Value, values);
            return null;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // The latter is thrown if a name is not valid Unicode text.
            return e.Message.ReplaceLineEndings(" ").TrimEnd('.');
        }
    }

    private void Guarded(Action write)
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
