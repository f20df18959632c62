
namespace Koala.Lab.Data;

/// <summary>The bytes of a text file, unpacked where its name ends in .gz, with the checks of <see cref="TextLines"/>.</summary>
internal sealed class UnpackedStream : Stream
{
    private readonly TextLines _lines;

    /// <exception cref="KoalaException">The file cannot be opened, or it is not what its name says.</exception>
    public UnpackedStream(string path) => _lines = new TextLines(path);

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <exception cref="KoalaException">The file is damaged or cannot be read.</exception>
    public override int Read(byte[] buffer, int offset, int count) => _lines.Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer) => _lines.Read(buffer);

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        ValueTask.FromResult(_lines.Read(buffer.Span));

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing) _lines.Dispose();
        base.Dispose(disposing);
    }
}
