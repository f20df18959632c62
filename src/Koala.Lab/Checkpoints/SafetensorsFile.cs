using System.IO.MemoryMappedFiles;
using Microsoft.Win32.SafeHandles;
using static TorchSharp.torch;

namespace Koala.Lab.Checkpoints;

/// <summary>A safetensors file, memory-mapped. Opening it validates all of its header and reads no weight; tensors may be read from several threads.</summary>
public sealed class SafetensorsFile : ITensorSource
{
    // A span holds at most 2 GiB, a tensor may hold more.
    private const long Chunk = 1L << 28;

    private readonly MemoryMappedFile _map;
    private readonly MemoryMappedViewAccessor _view;
    private readonly SafetensorsHeader _header;

    private SafetensorsFile(string path, MemoryMappedFile map, MemoryMappedViewAccessor view, SafetensorsHeader header)
    {
        Path = path;
        _map = map;
        _view = view;
        _header = header;
    }

    /// <inheritdoc/>
    public string Path { get; }

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, TensorInfo> Tensors => _header.Tensors;

    /// <summary>The strings under <c>__metadata__</c>; empty if there are none.</summary>
    public IReadOnlyDictionary<string, string> Metadata => _header.Metadata;

    /// <exception cref="KoalaException">The file cannot be opened or is not a valid safetensors file.</exception>
    public static SafetensorsFile Open(string path)
    {
        MemoryMappedFile? map = null;
        MemoryMappedViewAccessor? view = null;
        try
        {
            var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete);
            var length = stream.Length;
            // An empty file cannot be mapped; the header's reader says what is wrong with it.
            if (length == 0) using (stream) SafetensorsHeader.Read(path, [], length);
            map = MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: false);
            view = map.CreateViewAccessor(0, length, MemoryMappedFileAccess.Read);
            return new SafetensorsFile(path, map, view, ReadHeader(path, view.SafeMemoryMappedViewHandle, length));
        }
        catch (Exception e)
        {
            view?.Dispose();
            map?.Dispose();
            if (e is IOException or UnauthorizedAccessException)
                throw new KoalaException(path, $"cannot be opened ({e.Message.TrimEnd('.')})", "check the path and its permissions", e);
            throw;
        }
    }

    /// <inheritdoc/>
    public Tensor Read(string name, ScalarType dtype, Device device)
    {
        if (!Tensors.TryGetValue(name, out var info))
            throw new KoalaException(Path, $"holds no tensor '{Shown.Text(name)}'", "check that the file belongs to this kind of model");
        using var scope = NewDisposeScope();
        var stored = Stored(info);
        // A byte that is neither 0 nor 1 would be an undefined bool.
        var tensor = info.Dtype == ScalarType.Bool ? stored.ne(0) : stored;
        return scope.Detach(tensor.to(dtype, device));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _view.Dispose();
        _map.Dispose();
    }

    private Tensor Stored(TensorInfo info)
    {
        var shape = info.Shape.ToArray();
        var tensor = empty(shape, info.Dtype == ScalarType.Bool ? ScalarType.Byte : info.Dtype, CPU);
        var size = SafetensorsDtypes.Size(info.Dtype);
        var flat = tensor.view(-1);
        for (var start = 0L; start < info.Count; start += Chunk)
        {
            var part = flat.narrow(0, start, Math.Min(Chunk, info.Count - start));
            _view.SafeMemoryMappedViewHandle.ReadSpan((ulong)(_header.Offset(info.Name) + start * size), part.bytes);
        }
        return tensor;
    }

    private static unsafe SafetensorsHeader ReadHeader(string path, SafeMemoryMappedViewHandle handle, long length)
    {
        byte* pointer = null;
        try
        {
            handle.AcquirePointer(ref pointer);
            var reach = (int)Math.Min(length, SafetensorsHeader.Prefix + SafetensorsHeader.LongestHeader);
            return SafetensorsHeader.Read(path, new ReadOnlySpan<byte>(pointer, reach), length);
        }
        finally
        {
            if (pointer is not null) handle.ReleasePointer();
        }
    }
}
