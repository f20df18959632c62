using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Koala.Lab.Checkpoints.Pickles;

/// <summary>The bytes of a pickle, read in pieces. Every fault that it reports names the byte.</summary>
/// <param name="file">The open file.</param>
/// <param name="path">Its path, for messages.</param>
/// <param name="start">The offset of the first byte.</param>
/// <param name="end">The offset after the last byte that may belong to the pickle.</param>
internal sealed class PickleInput(SafeFileHandle file, string path, long start, long end)
{
    internal const string Fix = "get the file again, or use the publisher's safetensors";

    // Pickles of tensors have some hundred bytes for each tensor.
    private const long Longest = 32 << 20;

    private const int Window = 1 << 16;

    private readonly long _limit = start + Longest;
    private byte[] _window = [];
    private long _windowStart;

    /// <summary>The offset of the next byte in the file.</summary>
    internal long Position { get; private set; } = start;

    internal byte Byte() => Take(1)[0];

    /// <summary>Takes the next bytes, which stay valid until the next call.</summary>
    internal ReadOnlySpan<byte> Take(long count)
    {
        if (count < 0 || count > end - Position)
            throw Fault($"the pickle ends within a value of {count} bytes: the file is cut short or damaged");
        if (Position + count > _limit) throw Fault($"the pickle has more than {Longest} bytes, so it holds more than tensors");
        if (Position < _windowStart || Position + count > _windowStart + _window.Length)
        {
            var length = (int)Math.Min(Math.Max(Window, count), end - Position);
            (_windowStart, _window) = (Position, _window.Length == length ? _window : new byte[length]);
            FileBytes.Fill(file, _window, Position, path);
        }
        var bytes = _window.AsSpan((int)(Position - _windowStart), (int)count);
        Position += count;
        return bytes;
    }

    /// <summary>Takes a text of so many bytes in UTF-8.</summary>
    internal string Text(long count)
    {
        var bytes = Take(count);
        return System.Text.Unicode.Utf8.IsValid(bytes) ? Encoding.UTF8.GetString(bytes) : throw Fault("a text is not valid UTF-8");
    }

    /// <summary>Takes a line, without its end.</summary>
    internal string Line()
    {
        const int LongestName = 512;
        var line = new List<byte>();
        for (var next = Byte(); next != (byte)'\n'; next = Byte())
        {
            if (line.Count == LongestName) throw Fault($"a name has more than {LongestName} bytes");
            line.Add(next);
        }
        return Encoding.UTF8.GetString([.. line]);
    }

    internal KoalaException Fault(string fault, string fix = Fix) => new($"{path}, byte {Position}", fault, fix);
}
