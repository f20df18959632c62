using System.Text.Json;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Regeneration;

/// <summary>An answer as it is kept until the file is whole.</summary>
/// <param name="Row">The number of its line, from 0.</param>
/// <param name="Turn">The number of its turn, from 0.</param>
/// <param name="Tokens">How many tokens it has.</param>
/// <param name="Done">Whether it came to its end.</param>
/// <param name="Content">Its text.</param>
internal sealed record RegeneratedAnswer(int Row, int Turn, int Tokens, bool Done, string Content);

/// <summary>The answers so far: a first line says what decides them, and a line an answer follows, in the order in which they ended.</summary>
/// <remarks>Lines are handed to the operating system as they are written, so that they outlive the process. One that is not whole is as good as never written.</remarks>
internal sealed class AnswerLog : IDisposable
{
    private readonly string _path;
    private readonly FileStream _file;
    private bool _empty;

    private AnswerLog(string path, FileStream file, bool empty) => (_path, _file, _empty) = (path, file, empty);

    /// <summary>Begins a log.</summary>
    /// <exception cref="KoalaException">The file exists or cannot be written.</exception>
    public static AnswerLog Create(string path, RegenerationRecord record) => InFile(path, () =>
    {
        if (Path.GetDirectoryName(Path.GetFullPath(path)) is { } folder) Directory.CreateDirectory(folder);
        var log = new AnswerLog(path, new FileStream(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None), empty: true);
        log.WriteLines([record]);
        return log;
    });

    /// <summary>Goes on with a log; a torn last line is cut off.</summary>
    /// <param name="path">The file.</param>
    /// <param name="record">What decides the answers now.</param>
    /// <param name="answers">The answers that are there.</param>
    /// <exception cref="KoalaException">Another process has it, it cannot be read, was begun otherwise, or a line but the last is malformed.</exception>
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
                var last = start + length + 1 == bytes.Length;
                if (number == 1) Parse<RegenerationRecord>(path, number, bytes.AsSpan(start, length), mayBeTorn: false)!.CheckEqual(path, record);
                else if (Parse<RegeneratedAnswer>(path, number, bytes.AsSpan(start, length), mayBeTorn: last) is { } answer) read.Add(answer);
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

    /// <exception cref="KoalaException">The disk is full.</exception>
    public void Append(IEnumerable<RegeneratedAnswer> answers)
    {
        WriteLines(answers);
        _empty = false;
    }

    /// <summary>Removes the file: its answers are elsewhere.</summary>
    public void Remove() => InFile(_path, () => File.Delete(_path));

    /// <summary>Closes the file; one without answers is of no use and goes.</summary>
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
            // After a power cut the file may be longer than what was written of it.
            return mayBeTorn ? null
                : throw new KoalaException($"{path}:{number}", $"is no line of a run of regenerate ({e.Message.ReplaceLineEndings(" ").TrimEnd('.')})", "remove the file and begin anew", e);
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
            throw new KoalaException(path, $"cannot be used ({e.Message.TrimEnd('.')})", "free space, make the folder writable, or wait for the other process", e);
        }
    }
}
