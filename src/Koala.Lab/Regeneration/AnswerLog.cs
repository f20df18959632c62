using System.Text.Json;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Regeneration;

/// <summary>An answer as the log stores it until the output file is complete.</summary>
/// <param name="Row">The number of the chat's line, counted from 0.</param>
/// <param name="Turn">The number of the turn, counted from 0.</param>
/// <param name="Tokens">The number of tokens of the answer.</param>
/// <param name="Done">Whether the answer ended by itself and was not cut off.</param>
/// <param name="Content">The text of the answer.</param>
internal sealed record RegeneratedAnswer(int Row, int Turn, int Tokens, bool Done, string Content);

/// <summary>
/// The file of the answers so far. Its first line holds everything that decides the answers. One line per answer
/// follows, in the order in which the answers ended.
/// </summary>
/// <remarks>
/// Each line is passed to the operating system as it is written, so that it outlives the process. An incomplete line
/// counts as not written.
/// </remarks>
internal sealed class AnswerLog : IDisposable
{
    private const int LargestRecord = 1 << 20;
    private readonly string _path;
    private readonly FileStream _file;
    private bool _empty;

    private static ReadOnlySpan<byte> RecordBeginning => "{\"target\":"u8;

    private AnswerLog(string path, FileStream file, bool empty) => (_path, _file, _empty) = (path, file, empty);

    /// <summary>Creates a log, or takes over one without answers.</summary>
    /// <exception cref="KoalaException">
    /// The file holds answers or something else, another process has it open, or it cannot be written.
    /// </exception>
    public static AnswerLog Create(string path, RegenerationRecord record)
    {
        InputFile.CheckKind(path);
        var file = InFile(path, () =>
        {
            if (Path.GetDirectoryName(Path.GetFullPath(path)) is { } folder) Directory.CreateDirectory(folder);
            return Open(path, FileMode.OpenOrCreate);
        });
        var log = new AnswerLog(path, file, empty: false);
        try
        {
            CheckHasNoAnswers(path, file);
            log._empty = true;
            log.Begin(record);
            return log;
        }
        catch
        {
            log.Dispose();
            throw;
        }
    }

    /// <summary>Checks that a run can begin with this log.</summary>
    /// <exception cref="KoalaException">The file holds answers or something else, or it cannot be read.</exception>
    public static void CheckHasNoAnswers(string path)
    {
        if (!Path.Exists(path)) return;
        using var file = InputFile.Open(path);
        CheckHasNoAnswers(path, file);
    }

    /// <summary>Continues a log. If its last line is incomplete, the line is cut off.</summary>
    /// <param name="path">The file.</param>
    /// <param name="record">Everything that decides the answers of this run.</param>
    /// <param name="answers">The answers in the log.</param>
    /// <exception cref="KoalaException">
    /// Another process has the file open, it cannot be read, it was begun with another record, or a line other than the
    /// last is malformed.
    /// </exception>
    public static AnswerLog Resume(string path, RegenerationRecord record, out IReadOnlyList<RegeneratedAnswer> answers)
    {
        InputFile.CheckKind(path);
        var file = InFile(path, () => Open(path, FileMode.Open));
        try
        {
            var bytes = new byte[file.Length];
            InFile(path, () => file.ReadExactly(bytes));
            var read = new List<RegeneratedAnswer>();
            var (start, number) = (0, 0);
            while (start < bytes.Length && bytes.AsSpan(start).IndexOf((byte)'\n') is >= 0 and var length)
            {
                number++;
                var line = bytes.AsSpan(start, length);
                var last = start + length + 1 == bytes.Length;
                if (number == 1) Parse<RegenerationRecord>(path, number, line, mayBeTorn: false)!.CheckEqual(path, record);
                else if (Parse<RegeneratedAnswer>(path, number, line, mayBeTorn: last) is { } answer) read.Add(answer);
                else break;
                start += length + 1;
            }
            answers = read;
            var log = new AnswerLog(path, file, empty: read.Count == 0);
            if (number == 0)
            {
                if (!IsPartOfRecord(bytes)) throw NotALog($"{path}:1", "it does not begin with the record of one");
                log.Begin(record);
                return log;
            }
            InFile(path, () => file.SetLength(start));
            file.Position = start;
            return log;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Appends one line per answer.</summary>
    /// <exception cref="KoalaException">The file cannot be written.</exception>
    public void Append(IEnumerable<RegeneratedAnswer> answers)
    {
        WriteLines(answers);
        _empty = false;
    }

    /// <summary>Deletes the file. The caller has written its answers to another file.</summary>
    public void Remove() => InFile(_path, () => File.Delete(_path));

    /// <summary>Closes the file, and deletes it if it has no answers.</summary>
    public void Dispose()
    {
        _file.Dispose();
        if (_empty) File.Delete(_path);
    }

    // Replaces what the file holds by the record.
    private void Begin(RegenerationRecord record)
    {
        InFile(_path, () => _file.SetLength(0));
        WriteLines([record]);
    }

    // A run that is stopped before its first answer leaves its record or a part of it. Nothing else may be overwritten.
    private static void CheckHasNoAnswers(string path, FileStream file)
    {
        var bytes = new byte[Math.Min(file.Length, LargestRecord)];
        InFile(path, () => file.ReadExactly(bytes));
        var length = bytes.IndexOf((byte)'\n');
        if (length < 0 && IsPartOfRecord(bytes)) return;
        if (length >= 0 && length + 1 == file.Length)
        {
            Parse<RegenerationRecord>(path, 1, bytes.AsSpan(0, length), mayBeTorn: false);
            return;
        }
        throw new KoalaException(path, "holds the answers of a run that was interrupted",
            $"use {new OptionName(nameof(RegenerationOptions.Resume))} to continue it, or remove it");
    }

    private static bool IsPartOfRecord(ReadOnlySpan<byte> bytes) =>
        RecordBeginning.StartsWith(bytes) || bytes.StartsWith(RecordBeginning);

    private void WriteLines<T>(IEnumerable<T> values) => InFile(_path, () =>
    {
        foreach (var value in values) _file.Write([.. JsonSerializer.SerializeToUtf8Bytes(value, JsonFormat.Line), (byte)'\n']);
    });

    // There is no buffer: each line is one write, and closing the file cannot fail for want of space.
    private static FileStream Open(string path, FileMode mode) =>
        new(path, mode, FileAccess.ReadWrite, FileShare.None, bufferSize: 0);

    private static T? Parse<T>(string path, int number, ReadOnlySpan<byte> line, bool mayBeTorn) where T : class
    {
        try
        {
            return JsonSerializer.Deserialize<T>(line, JsonFormat.Line) ?? throw new JsonException("it is null");
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // After a power failure the file may be longer than the part that reached the disk.
            if (mayBeTorn) return null;
            throw NotALog($"{path}:{number}", e.Message.ReplaceLineEndings(" ").TrimEnd('.'), e);
        }
    }

    private static KoalaException NotALog(string where, string reason, Exception? inner = null) =>
        new(where, $"is not a line of a run of regenerate ({reason})", "remove the file and start again", inner);

    private static void InFile(string path, Action action) => InFile(path, () =>
    {
        action();
        return 0;
    });

    private static T InFile<T>(string path, Func<T> action)
    {
        try
        {
            return action();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KoalaException(path, $"cannot be used ({e.Message.TrimEnd('.')})",
                "free space, make the folder writable, or wait for the other process", e);
        }
    }
}
