using System.Net.Http.Headers;
using System.Security.Cryptography;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Checkpoints.Hub;

/// <summary>
/// A file during its download: <c>blobs/{hash}.incomplete</c>. It is hashed as its bytes arrive, and becomes the blob once its hash is
/// correct.
/// </summary>
internal sealed class PartialFile : IDisposable
{
    private readonly HubFile _file;
    private readonly string _blob;
    private readonly FileStream _stream;
    private IncrementalHash _hash;

    private PartialFile(HubFile file, string blob, FileStream stream)
    {
        _file = file;
        _blob = blob;
        _stream = stream;
        _hash = file.NewHash();
    }

    /// <summary>The number of bytes that have arrived.</summary>
    public long Length { get; private set; }

    /// <summary>The largest <see cref="Length"/> since the file was opened.</summary>
    public long MaxLength { get; private set; }

    /// <summary>The ETag of the response that contained the bytes, if it is known.</summary>
    public EntityTagHeaderValue? Tag { get; set; }

    /// <summary>Whether the bytes come from more than one response.</summary>
    public bool IsPatched { get; private set; }

    /// <summary>Opens the file that an earlier attempt has left and hashes its bytes again, or creates an empty file.</summary>
    /// <exception cref="KoalaException">The cache cannot be written.</exception>
    public static PartialFile Open(HubFile file, string blob, CancellationToken cancel)
    {
        var path = $"{blob}.incomplete";
        FileStream? stream = null;
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(blob)!);
            // There is no buffer, so that a full disk is found while writing and not while closing.
            stream = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 0);
            var partial = new PartialFile(file, blob, stream);
            partial.ReadExisting(cancel);
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

    /// <summary>Declares that the next bytes come from another response than those that have arrived.</summary>
    public void Continue() => IsPatched |= Length > 0;

    /// <exception cref="KoalaException">More bytes arrive than the hub lists for the file, or the disk is full.</exception>
    public void Append(ReadOnlyMemory<byte> bytes, HubName what)
    {
        if (Length + bytes.Length > _file.Size)
            throw new KoalaException(what.ToString(), $"is sent with more than the {_file.Size} bytes that the hub lists",
                "try again; if the error persists, check the address in HF_ENDPOINT");
        Guarded(() => _stream.Write(bytes.Span));
        _hash.AppendData(bytes.Span);
        Grow(bytes.Length);
    }

    /// <summary>Removes all bytes, so that the download can start again.</summary>
    public void Restart()
    {
        Guarded(() => _stream.SetLength(0));
        _hash.Dispose();
        _hash = _file.NewHash();
        Length = 0;
        IsPatched = false;
        Tag = null;
    }

    /// <summary>Returns the hash of the bytes that have arrived, in lower-case hex digits.</summary>
    public string CurrentHash() => Convert.ToHexStringLower(_hash.GetCurrentHash());

    /// <summary>Makes this file the blob: it is first synced to disk and then renamed.</summary>
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

    /// <summary>Deletes the file, because its bytes are useless.</summary>
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

    private void ReadExisting(CancellationToken cancel)
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
        MaxLength = Math.Max(MaxLength, Length);
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
