using System.Text;
using ICSharpCode.SharpZipLib.GZip;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Data;

/// <summary>
/// Reads a file line by line, in memory for one line; the file is gzip where its name ends in .gz. A damaged gzip file and one that was
/// cut off are errors wherever that shows. A file in UTF-16 that begins with a byte-order mark is read as if it were UTF-8.
/// </summary>
internal sealed class TextLines : IDisposable
{
    /// <summary>The largest number of bytes of a line: 32 bytes for each token of a context of 131,072 tokens.</summary>
    public const int LongestLine = 4 << 20;

    // Text in JSON is compressed to between a third and a twentieth. What unpacks to much more than that was made to fill the memory.
    // That shows long before the end of the file. The beginning is free, so that a line that is too long is told as such.
    private const int LargestRatio = 32;
    private const long RatioMargin = 2 * LongestLine;

    private readonly string _path;
    private readonly FileStream _file;
    private readonly bool _isGzip;
    private readonly Stream _text;
    private byte[] _buffer = new byte[1 << 16];
    private int _start;
    private int _end;
    private long _read;

    /// <exception cref="KoalaException">The file cannot be opened, or it is not what its name says.</exception>
    public TextLines(string path)
    {
        _path = path;
        _file = InputFile.Open(path);
        try
        {
            _isGzip = path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase);
            var utf16 = CheckBeginning();
            _text = _isGzip ? new GZipMembers(_file)
                : utf16 is not null ? Encoding.CreateTranscodingStream(_file, utf16, Encoding.UTF8)
                : _file;
        }
        catch
        {
            _file.Dispose();
            throw;
        }
    }

    /// <summary>The number of lines that were returned, which is the number of the last one, counted from 1.</summary>
    public int Number { get; private set; }

    /// <summary>
    /// The next line without its line feed, or null at the end of the file. Its bytes are valid until the next call.
    /// </summary>
    /// <exception cref="KoalaException">
    /// The file is damaged or cannot be read, the line is too long, or the file unpacks to far more than text does.
    /// </exception>
    public ReadOnlyMemory<byte>? Next()
    {
        var searched = 0;
        while (true)
        {
            var length = _buffer.AsSpan(_start + searched, _end - _start - searched).IndexOf((byte)'\n');
            if (length >= 0 && searched + length <= LongestLine) return Take(searched + length, lineFeed: 1);
            searched = _end - _start;
            if (length >= 0 || searched > LongestLine)
                throw new KoalaException($"{_path}:{Number + 1}", $"is longer than {LongestLine >> 20} MiB, the most that a line can have",
                    "split the line, or give a file with one JSON object per line");
            if (Fill()) continue;
            if (searched > 0) return Take(searched, lineFeed: 0);
            // Not in a conditional expression, which would make an empty line of null.
            return null;
        }
    }

    /// <summary>Reads bytes without looking for lines; 0 at the end of the file. Not to be mixed with <see cref="Next"/>.</summary>
    /// <exception cref="KoalaException">The file is damaged or cannot be read, or it unpacks to far more than text does.</exception>
    public int Read(Span<byte> buffer)
    {
        if (_start == _end && !Fill()) return 0;
        var count = Math.Min(buffer.Length, _end - _start);
        _buffer.AsSpan(_start, count).CopyTo(buffer);
        _start += count;
        return count;
    }

    public void Dispose()
    {
        _text.Dispose();
        _file.Dispose();
    }

    private ReadOnlyMemory<byte> Take(int length, int lineFeed)
    {
        var line = _buffer.AsMemory(_start, length);
        _start += length + lineFeed;
        Number++;
        return line;
    }

    // Adds bytes behind those that were not returned yet; false at the end of the file.
    private bool Fill()
    {
        _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
        (_start, _end) = (0, _end - _start);
        if (_end == _buffer.Length) Array.Resize(ref _buffer, 2 * _buffer.Length);
        var count = ReadBytes();
        _end += count;
        _read += count;
        if (_isGzip && _read > RatioMargin + LargestRatio * _file.Position)
            throw new KoalaException(_path, $"unpacks to more than {LargestRatio} times its size, as text in JSON does not",
                "get the file again; if it is right, unpack it and name the unpacked file");
        return count > 0;
    }

    private int ReadBytes()
    {
        try
        {
            return _text.Read(_buffer, _end, _buffer.Length - _end);
        }
        catch (DecoderFallbackException e)
        {
            throw new KoalaException($"{_path}:{Number + 1}", "is not valid UTF-16, at this line or after it",
                "save it as UTF-8, or get the file again", e);
        }
        catch (Exception e) when (!_isGzip || (e is IOException and not EndOfStreamException))
        {
            throw InputFile.Unreadable(_path, e);
        }
        catch (Exception e)
        {
            // The library has no one type of exception for damaged data: an IndexOutOfRangeException occurs as well. It returns no bytes
            // of the block where it finds the damage, so a few lines before the damage are not known.
            throw new KoalaException($"{_path}:{Number + 1}",
                $"the gzip data are damaged or cut off, at this line or after it ({e.Message.ReplaceLineEndings(" ").TrimEnd('.')})",
                "get the file again", e);
        }
    }

    // Leaves the file behind its byte-order mark. Returns the encoding of UTF-16, which only that mark tells from UTF-8.
    private Encoding? CheckBeginning()
    {
        Span<byte> first = stackalloc byte[3];
        int count;
        try
        {
            count = _file.ReadAtLeast(first, first.Length, throwOnEndOfStream: false);
            _file.Position = 0;
        }
        catch (IOException e)
        {
            throw InputFile.Unreadable(_path, e);
        }
        first = first[..count];
        var hasGzipMark = first.StartsWith((ReadOnlySpan<byte>)[0x1f, 0x8b]);
        if (_isGzip && count > 0 && !hasGzipMark)
            throw new KoalaException(_path, "is not gzip, though its name ends in .gz", "get the file again, or name it without .gz");
        if (!_isGzip && hasGzipMark)
            throw new KoalaException(_path, "is gzip, but its name does not end in .gz", "add .gz to its name");
        if (first.SequenceEqual((ReadOnlySpan<byte>)[0xef, 0xbb, 0xbf])) _file.Position = count;
        var utf16 = InputFile.Utf16Of(first);
        if (utf16 is not null) _file.Position = 2;
        return utf16;
    }

    /// <summary>
    /// The members of a gzip file. The library takes whatever follows a member and does not begin like another for the end, and would
    /// so leave out a member whose first bytes are damaged.
    /// </summary>
    private sealed class GZipMembers(Stream file) : GZipInputStream(file)
    {
        public override int Read(byte[] buffer, int offset, int count)
        {
            var read = base.Read(buffer, offset, count);
            if (read > 0 || count == 0) return read;
            // Zeros may follow: they fill up the last block of a tape.
            do
            {
                var unread = inputBuffer.RawData.AsSpan(inputBuffer.RawLength - inputBuffer.Available, inputBuffer.Available);
                if (unread.ContainsAnyExcept((byte)0))
                    throw new GZipException("bytes that are not gzip follow");
                inputBuffer.Fill();
            }
            while (inputBuffer.Available > 0);
            return 0;
        }
    }
}
