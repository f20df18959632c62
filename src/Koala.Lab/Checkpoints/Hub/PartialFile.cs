using System.Net.Http.Headers;
using System.Security.Cryptography;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Checkpoints.Hub;

/// <summary>A file on its way: <c>blobs/{hash}.incomplete</c>, hashed as it comes. It becomes the blob once its hash is right.</summary>
internal sealed class PartialFile : IDisposable
{
    private readonly HubFile _file;
    private readonly string _blob;
    private readonly FileStream _stream;
    private IncrementalHash _hash;

    private PartialFile(HubFile file, string blob, FileStream stream) => (_file, _blob, _stream, _hash) = (file, blob, stream, file.NewHash());

    /// <summary>Bytes that are here.</summary>
    public long Length { get; private set; }

    /// <summary>The most bytes that were here since it was opened.</summary>
    public long Furthest { get; private set; }

    /// <summary>The ETag of the answer that the bytes came in, if known.</summary>
    public EntityTagHeaderValue? Tag { get; set; }

    /// <summary>Whether the bytes came in more than one answer.</summary>
    public bool IsPatched { get; private set; }

    /// <summary>Opens what an earlier attempt has left, or an empty file; what is there is hashed anew.</summary>
    /// <exception cref="KoalaException">The cache cannot be written.</exception>
    public static PartialFile Open(HubFile file, string blob, CancellationToken cancel)
    {
        var path = $"{blob}.incomplete";
        FileStream? stream = null;
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(blob)!);
            // Without a buffer, so that a full disk is met while writing and not while closing.
            stream = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 0);
            var partial = new PartialFile(file, blob, stream);
            partial.TakeUp(cancel);
            return partial;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            stream?.Dispose();
            throw HubLock.CacheFault(path, e);
        }
        catch
        {
            stream?.Dispose();
            throw;
        }
    }

    /// <summary>Says that the next bytes are from another answer than those that are here.</summary>
    public void Continue() => IsPatched |= Length > 0;

    /// <exception cref="KoalaException">More bytes come than the file has, or the disk is full.</exception>
    public void Append(ReadOnlyMemory<byte> bytes, HubName what)
    {
        if (Length + bytes.Length > _file.Size)
            throw new KoalaException(what.ToString(), $"sends more than the {_file.Size} bytes that the hub lists", "try again; if it stays so, check what HF_ENDPOINT names");
        Guarded(() => _stream.Write(bytes.Span));
        _hash.AppendData(bytes.Span);
        Grow(bytes.Length);
    }

    /// <summary>Begins with nothing again.</summary>
    public void Restart()
    {
        Guarded(() => _stream.SetLength(0));
        _hash.Dispose();
        (_hash, Length, IsPatched, Tag) = (_file.NewHash(), 0, false, null);
    }

    /// <summary>The hash of the bytes that are here, in lower-case hex.</summary>
    public string CurrentHash() => Convert.ToHexStringLower(_hash.GetCurrentHash());

    /// <summary>Makes it the blob: on disk first, then under its name.</summary>
    public void Complete()
    {
        Guarded(() =>
        {
            _stream.Flush(flushToDisk: true);
            _stream.Dispose();
            File.Move(_stream.Name, _blob, overwrite: true);
            FolderSync.Flush(Path.GetDirectoryName(_blob)!);
        });
    }

    /// <summary>Removes it: its bytes are of no use.</summary>
    public void Discard() => Guarded(() =>
    {
        _stream.Dispose();
        File.Delete(_stream.Name);
    });

    /// <inheritdoc/>
    public void Dispose()
    {
        _stream.Dispose();
        _hash.Dispose();
    }

    private void TakeUp(CancellationToken cancel)
    {
        if (_stream.Length > _file.Size) _stream.SetLength(0);
        var buffer = new byte[1 << 20];
        while (_stream.Read(buffer) is > 0 and var count)
        {
            cancel.ThrowIfCancellationRequested();
            _hash.AppendData(buffer.AsSpan(0, count));
            Grow(count);
        }
    }

    private void Grow(int count)
    {
        Length += count;
        Furthest = Math.Max(Furthest, Length);
    }

    private void Guarded(Action write)
    {
        try
        {
            write();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw HubLock.CacheFault(_stream.Name, e);
        }
    }
}
