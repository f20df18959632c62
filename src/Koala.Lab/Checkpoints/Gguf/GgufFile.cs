using System.Buffers;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using static TorchSharp.torch;

namespace Koala.Lab.Checkpoints.Gguf;

/// <summary>
/// A model in GGUF files: its config, metadata and tensors under Hugging Face's names. Opening it reads no weight.
/// </summary>
/// <remarks>
/// Weights are read in chunks and decoded into the tensor's own memory, so that no second copy of the file is in memory. Several
/// threads may read tensors at the same time.
/// </remarks>
public sealed class GgufFile : ITensorSource, IStoredMatrices
{
    // The numbers that are decoded at a time: a multiple of every block length, and few enough that they stay in a core's cache and
    // that libtorch converts them on the calling thread.
    private const long Chunk = 1 << 15;

    // What one read of codes takes.
    private const int BytesAtOnce = 1 << 18;

    private readonly List<(string Path, SafeFileHandle File)> _files = [];
    private readonly Dictionary<string, GgufTensor> _stored = [];
    private readonly Dictionary<string, TensorInfo> _tensors = [];

    private GgufFile(string path, SafeFileHandle file, long length)
    {
        Path = path;
        Metadata = AddFile(path, file, length);
        try
        {
            foreach (var other in new GgufSplit(Metadata).OtherFiles())
            {
                var (part, partLength) = FileBytes.Open(other);
                AddFile(other, part, partLength);
            }
            Config = new GgufConfigReader(this).Read();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public string Path { get; }

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, TensorInfo> Tensors => _tensors;

    /// <summary>The model's sizes.</summary>
    public ModelConfig Config { get; }

    internal GgufMetadata Metadata { get; }

    /// <summary>Whether a file begins like a GGUF file. Its name does not matter.</summary>
    /// <exception cref="KoalaException">The file cannot be opened.</exception>
    public static bool IsGguf(string path)
    {
        var (file, length) = FileBytes.Open(path);
        using (file) return length >= sizeof(uint) && new GgufReader(file, path, length).U32() == GgufHeader.Magic;
    }

    /// <exception cref="KoalaException">
    /// The file cannot be opened, is not a valid GGUF file, or contains a model that Koala does not compute.
    /// </exception>
    public static GgufFile Open(string path)
    {
        var (file, length) = FileBytes.Open(path);
        try
        {
            return new GgufFile(path, file, length);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public Tensor Read(string name, ScalarType dtype, Device device)
    {
        if (!_stored.TryGetValue(name, out var stored))
            throw new KoalaException(Path, $"contains no tensor '{MessageText.Text(name)}'",
                "check that the file belongs to this kind of model");
        using var scope = NewDisposeScope();
        var tensor = empty(stored.Shape, dtype, CPU);
        var flat = tensor.view(-1);
        try
        {
            Parallel.For(0, (flat.NumberOfElements + Chunk - 1) / Chunk, i => ReadChunk(stored, flat, i * Chunk));
        }
        catch (AggregateException e)
        {
            ExceptionDispatchInfo.Throw(e.InnerExceptions[0]);
        }
        if (IsPaired(stored)) tensor = Unpaired(stored, tensor);
        return tensor.to(device).MoveToOuterDisposeScope();
    }

    StoredMatrix? IStoredMatrices.Stored(string name)
    {
        if (!_stored.TryGetValue(name, out var stored) || stored.Type.Decode is not null || IsPaired(stored)) return null;
        var file = _files[stored.Part].File;
        return StoredMatrix.Of(
            stored.Type.Dtype, stored.Shape, (at, bytes) => FileBytes.Fill(file, bytes, stored.Offset + at, Where(stored)));
    }

    /// <summary>The codes of a quantized matrix, in Hugging Face's order of rows; null if the tensor is no matrix of blocks.</summary>
    /// <exception cref="KoalaException">The file can no longer be read.</exception>
    internal QuantizedMatrix? ReadCodes(string name)
    {
        if (!_stored.TryGetValue(name, out var stored) || stored.Type.Codes is not { } type || stored.Shape is not [var rows, var columns])
            return null;
        if (columns % stored.Type.Elements != 0 || columns > Chunk) return null;
        var matrix = new QuantizedMatrix((int)rows, (int)columns, type.Group, type.Bits, type.Lowest, type.HasHalfScales);
        var rowBytes = (int)(columns / stored.Type.Elements * stored.Type.Bytes);
        var isPaired = IsPaired(stored);
        try
        {
            var rowsAtOnce = Math.Max(1, BytesAtOnce / rowBytes);
            Parallel.For(0, (matrix.Rows + rowsAtOnce - 1) / rowsAtOnce, chunk =>
            {
                var first = chunk * rowsAtOnce;
                var count = Math.Min(rowsAtOnce, matrix.Rows - first);
                var blocks = ArrayPool<byte>.Shared.Rent(count * rowBytes);
                var offset = stored.Offset + (long)first * rowBytes;
                FileBytes.Fill(_files[stored.Part].File, blocks.AsSpan(0, count * rowBytes), offset, Where(stored));
                for (var row = 0; row < count; row++)
                {
                    var to = isPaired ? UnpairedRow(first + row) : first + row;
                    type.Split(blocks.AsSpan(row * rowBytes, rowBytes), matrix.CodesOf(to), matrix.ScalesOf(to), matrix.OffsetsOf(to));
                }
                ArrayPool<byte>.Shared.Return(blocks);
            });
        }
        catch (AggregateException e)
        {
            ExceptionDispatchInfo.Throw(e.InnerExceptions[0]);
        }
        return matrix;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var (_, file) in _files) file.Dispose();
    }

    // Lists the tensors of a file, which this object closes from then on.
    private GgufMetadata AddFile(string path, SafeFileHandle file, long length)
    {
        _files.Add((path, file));
        var reader = new GgufReader(file, path, length);
        var header = GgufHeader.Read(reader);
        foreach (var listed in header.Tensors.Values)
        {
            var tensor = listed with { Part = _files.Count - 1 };
            var name = GgufNames.HuggingFace(tensor.Name);
            if (!_stored.TryAdd(name, tensor))
                throw new KoalaException(Where(tensor), "occurs twice, under two names or in two files", "get the file again");
            if (tensor.Name != GgufNames.RopeDivisors)
                _tensors.Add(name, new TensorInfo(name, tensor.Type.Dtype, tensor.Shape, tensor.Type.Name));
        }
        return new GgufMetadata(header.Values, reader, path);
    }

    /// <summary>Returns the numbers of a small tensor, by its name in the file; null if there is no such tensor.</summary>
    internal float[]? Numbers(string name)
    {
        if (!_stored.ContainsKey(name)) return null;
        using var scope = NewDisposeScope();
        return Read(name, ScalarType.Float32, CPU).data<float>().ToArray();
    }

    // Row 2i + j of a head in the file is row i of its half j here: GGUF files rotate neighbouring rows, Hugging Face rotates halves.
    private Tensor Unpaired(GgufTensor stored, Tensor tensor)
    {
        var (rows, columns) = (tensor.shape[0], tensor.shape[^1]);
        if (tensor.shape.Length != 2 || rows % Config.HeadDim != 0)
            throw new KoalaException(Where(stored),
                $"its shape is {MessageText.Shape(tensor.shape)}, but rows of whole heads of {Config.HeadDim} are expected",
                "get the file again");
        return tensor.view(-1, Config.HeadDim / 2, 2, columns).transpose(1, 2).reshape(rows, columns);
    }

    // The same for one row.
    private int UnpairedRow(int row)
    {
        var (head, within) = (row / Config.HeadDim * Config.HeadDim, row % Config.HeadDim);
        return head + within % 2 * (Config.HeadDim / 2) + within / 2;
    }

    private void ReadChunk(GgufTensor stored, Tensor flat, long start)
    {
        using var scope = NewDisposeScope();
        var part = flat.narrow(0, start, Math.Min(Chunk, flat.NumberOfElements - start));
        var type = stored.Type;
        var values = part.dtype == type.Dtype ? part : empty(part.NumberOfElements, type.Dtype, CPU);
        var offset = stored.Offset + start / type.Elements * type.Bytes;
        if (type.Decode is null) FileBytes.Fill(_files[stored.Part].File, values.bytes, offset, Where(stored));
        else
        {
            var length = (int)(part.NumberOfElements / type.Elements * type.Bytes);
            var blocks = ArrayPool<byte>.Shared.Rent(length);
            FileBytes.Fill(_files[stored.Part].File, blocks.AsSpan(0, length), offset, Where(stored));
            type.Decode(blocks.AsSpan(0, length), MemoryMarshal.Cast<byte, float>(values.bytes));
            ArrayPool<byte>.Shared.Return(blocks);
        }
        if (!ReferenceEquals(values, part)) part.copy_(values);
    }

    private bool IsPaired(GgufTensor stored) => GgufNames.IsPaired(stored.Name) && Config.ModelType == "llama";

    private string Where(GgufTensor stored) => $"{_files[stored.Part].Path}, tensor '{MessageText.Text(stored.Name)}'";
}
