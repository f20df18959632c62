using System.IO.MemoryMappedFiles;
using Microsoft.Win32.SafeHandles;
using static TorchSharp.torch;

namespace Koala.Lab.Checkpoints.Safetensors;

/// <summary>
/// A safetensors file. Opening it validates its whole header and reads no weight. Several threads may read tensors at the same time.
/// </summary>
/// <remarks>
/// The header is read through a memory map, so that a long one takes no memory. Weights are read directly into the tensor's own memory:
/// if the file became shorter while it is open, a map would end the process, but a read reports an error.
/// </remarks>
public sealed class SafetensorsFile : ITensorSource, IStoredMatrices
{
    // A span has at most 2 GiB, and a tensor may have more.
    private const long Chunk = 1 << 24;

    private readonly SafeFileHandle _file;
    private readonly SafetensorsHeader _header;

    private SafetensorsFile(string path, SafeFileHandle file, SafetensorsHeader header)
    {
        Path = path;
        _file = file;
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
        var (file, length) = FileBytes.Open(path);
        try
        {
            return new SafetensorsFile(path, file, ReadHeader(path, file, length));
        }
        catch (Exception e)
        {
            file.Dispose();
            if (e is IOException or UnauthorizedAccessException)
                throw new KoalaException(path, $"cannot be opened ({e.Message.TrimEnd('.')})", "check the path and its permissions", e);
            throw;
        }
    }

    /// <inheritdoc/>
    public Tensor Read(string name, ScalarType dtype, Device device)
    {
        if (!Tensors.TryGetValue(name, out var info))
            throw new KoalaException(Path, $"contains no tensor '{MessageText.Text(name)}'",
                "check that the file belongs to this kind of model");
        if (info.Dtype is not { } storedDtype)
            throw new KoalaException(Where(info), $"is of dtype '{info.Stored}', but Koala reads {SafetensorsDtypes.Known}",
                "convert the tensor to one of these");
        using var scope = NewDisposeScope();
        if (info.Stored == Float8.Name) return Float8.Decode(Stored(info, ScalarType.Byte)).to(dtype, device).MoveToOuterDisposeScope();
        var stored = Stored(info, storedDtype);
        // A byte that is neither 0 nor 1 would be an undefined bool.
        var tensor = storedDtype == ScalarType.Bool ? stored.ne(0) : stored;
        return tensor.to(dtype, device).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    StoredMatrix? IStoredMatrices.Stored(string name)
    {
        if (!Tensors.TryGetValue(name, out var info) || info.Stored == Float8.Name || info.Dtype is not { } dtype) return null;
        return StoredMatrix.Of(dtype, info.Shape, (at, bytes) => FileBytes.Fill(_file, bytes, _header.Offset(name) + at, Where(info)));
    }

    private Tensor Stored(TensorInfo info, ScalarType dtype)
    {
        var tensor = empty(info.Shape.ToArray(), dtype == ScalarType.Bool ? ScalarType.Byte : dtype, CPU);
        var flat = tensor.view(-1);
        var size = SafetensorsDtypes.Size(dtype);
        for (var start = 0L; start < info.Count; start += Chunk / size)
        {
            using var part = flat.narrow(0, start, Math.Min(Chunk / size, info.Count - start));
            var offset = _header.Offset(info.Name) + start * size;
            FileBytes.Fill(_file, part.bytes, offset, Where(info));
        }
        return tensor;
    }

    private string Where(TensorInfo info) => $"{Path}, tensor '{MessageText.Text(info.Name)}'";

    private static unsafe SafetensorsHeader ReadHeader(string path, SafeFileHandle file, long length)
    {
        // An empty file cannot be mapped; SafetensorsHeader.Read reports what is wrong with it.
        if (length == 0) return SafetensorsHeader.Read(path, [], length);
        var viewLength = (int)Math.Min(length, SafetensorsHeader.Prefix + SafetensorsHeader.LongestHeader);
        using var map = MemoryMappedFile.CreateFromFile(
            file, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
        using var view = map.CreateViewAccessor(0, viewLength, MemoryMappedFileAccess.Read);
        byte* pointer = null;
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref pointer);
        try
        {
            return SafetensorsHeader.Read(path, new ReadOnlySpan<byte>(pointer, viewLength), length);
        }
        finally
        {
            view.SafeMemoryMappedViewHandle.ReleasePointer();
        }
    }
}
