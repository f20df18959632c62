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
    private readonly string _path;
    private readonly FileStream _file;
    private bool _empty;

    private AnswerLog(string path, FileStream file, bool empty) => (_path, _file, _empty) = (path, file, empty);

    /// <summary>Creates a log.</summary>
    /// <exception cref="KoalaException">The file exists or cannot be written.</exception>
    public static AnswerLog Create(string path, RegenerationRecord record) => InFile(path, () =>
    {
        if (Path.GetDirectoryName(Path.GetFullPath(path)) is { } folder) Directory.CreateDirectory(folder);
        var log = new AnswerLog(path, new FileStream(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None), empty: true);
        log.WriteLines([record]);
        return log;
    });

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
        var file = InFile(path, () => new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None));
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
            if (number == 0)
                throw new KoalaException(path, "is empty: the run was stopped before it began",
                    $"remove it and leave {new OptionName(nameof(RegenerationOptions.Resume))} out");
            InFile(path, () => file.SetLength(start));
            file.Position = start;
            answers = read;
            return new AnswerLog(path, file, empty: read.Count == 0);
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

    private void WriteLines<T>(IEnumerable<T> values) => InFile(_path, () =>
    {
        foreach (var value in values)
        {
            _file.Write(JsonSerializer.SerializeToUtf8Bytes(value, JsonFormat.Line));
            _file.WriteByte((byte)'\n');
        }
        _file.Flush();
    });

    private static T? Parse<T>(string path, int number, ReadOnlySpan<byte> line, bool mayBeTorn) where T : class
    {
        try
        {
            return JsonSerializer.Deserialize<T>(line, JsonFormat.Line) ?? throw new JsonException("it is null");
        }
        catch (JsonException e)
        {
            // After a power failure the file may be longer than the part that reached the disk.
            if (mayBeTorn) return null;
            var reason = e.Message.ReplaceLineEndings(" ").TrimEnd('.');
            throw new KoalaException($"{path}:{number}", $"is not a line of a run of regenerate ({reason})",
                "remove the file and start again", e);
        }
    }

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
