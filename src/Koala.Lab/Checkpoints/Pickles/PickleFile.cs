using Microsoft.Win32.SafeHandles;
using static TorchSharp.torch;

namespace Koala.Lab.Checkpoints.Pickles;

/// <summary>
/// The tensors in a file of PyTorch's torch.save (.pt, .bin). Opening it lists the tensors and runs nothing: a file that contains anything
/// that could be run is refused. Several threads may read tensors at the same time.
/// </summary>
/// <remarks>
/// Tensors in dictionaries and lists inside the file's dictionary have names joined by dots: <c>state_dict.layers.0.weight</c>. Numbers and
/// texts beside tensors are ignored.
/// </remarks>
public sealed class PickleFile : ITensorSource, IStoredMatrices
{
    private const long Chunk = 1 << 24;
    private const int MostLevels = 32;
    private const long Margin = 1 << 20;

    private readonly SafeFileHandle _file;
    private readonly long _length;
    private readonly PickleLayout _layout;
    private readonly Dictionary<string, PickleTensor> _views = new(StringComparer.Ordinal);
    private readonly Dictionary<string, TensorInfo> _tensors = new(StringComparer.Ordinal);
    private int _visits;

    private PickleFile(string path, SafeFileHandle file, long length)
    {
        Path = path;
        (_file, _length) = (file, length);
        _layout = PickleLayout.Read(file, path, length);
        if (_layout.Root is PickleTensor)
            throw new KoalaException(path, "holds one tensor without a name, but a dictionary of tensors is expected",
                "save a dictionary: torch.save({name: tensor}, path)");
        List(_layout.Root, "", 0);
        if (_tensors.Count == 0)
            throw new KoalaException(path, "holds no tensors", "check that it is a file of weights");
    }

    /// <inheritdoc/>
    public string Path { get; }

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, TensorInfo> Tensors => _tensors;

    /// <exception cref="KoalaException">The file cannot be opened, is damaged, or holds anything but tensors.</exception>
    public static PickleFile Open(string path)
    {
        KoalaException.ThrowIfNull(path);
        var (file, length) = FileBytes.Open(path);
        try
        {
            return new PickleFile(path, file, length);
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
        if (!_views.TryGetValue(name, out var view))
            throw new KoalaException(Path, $"contains no tensor '{MessageText.Text(name)}'",
                "check that the file belongs to this kind of model");
        if (view.Storage.Type.Dtype is not { } storedDtype)
            throw new KoalaException(Where(name), $"is a {view.Storage.Type.Name}, but Koala reads {PickleStorageType.Known}",
                "convert the tensor to one of these");
        using var scope = NewDisposeScope();
        var stored = view.IsContiguous
            ? Numbers(name, view, view.Count, storedDtype).view(view.Shape)
            : Numbers(name, view, view.Extent, storedDtype).as_strided(view.Shape, view.Strides);
        // A byte that is neither 0 nor 1 would be an undefined bool.
        var tensor = storedDtype == ScalarType.Bool ? stored.ne(0) : stored.contiguous();
        return tensor.to(dtype, device).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    StoredMatrix? IStoredMatrices.Stored(string name)
    {
        if (!_views.TryGetValue(name, out var view) || !view.IsContiguous || view.Storage.Type.Dtype is not { } dtype) return null;
        var start = _layout.Storages[view.Storage.Key].Start + view.Offset * view.Storage.Type.Size;
        return StoredMatrix.Of(dtype, view.Shape, (at, bytes) => FileBytes.Fill(_file, bytes, start + at, Where(name)));
    }

    // Numbers of a tensor's storage, from the tensor's first one on.
    private Tensor Numbers(string name, PickleTensor view, long count, ScalarType dtype)
    {
        var flat = empty([count], dtype == ScalarType.Bool ? ScalarType.Byte : dtype, CPU);
        var size = view.Storage.Type.Size;
        var first = _layout.Storages[view.Storage.Key].Start + view.Offset * size;
        for (var start = 0L; start < count; start += Chunk / size)
        {
            using var part = flat.narrow(0, start, Math.Min(Chunk / size, count - start));
            FileBytes.Fill(_file, part.bytes, first + start * size, Where(name));
        }
        return flat;
    }

    private void List(object? value, string name, int level)
    {
        // A pickle can name one list twice in another, and that again, so that its size says nothing about the number of its values.
        if (level > MostLevels || ++_visits > _length)
            throw new KoalaException(Path, "nests its values more deeply than files of tensors do", PickleMachine.Unsafe);
        string Of(string key) => name.Length == 0 ? key : $"{name}.{key}";
        switch (value)
        {
            case PickleDictionary dictionary:
                foreach (var (key, item) in dictionary.Entries)
                    if (key is string or long) List(item, Of($"{key}"), level + 1);
                break;
            case IReadOnlyList<object?> items:
                foreach (var (index, item) in items.Index()) List(item, Of($"{index}"), level + 1);
                break;
            case PickleTensor tensor:
                Add(name, tensor);
                break;
        }
    }

    private void Add(string name, PickleTensor tensor)
    {
        if (tensor.Count > (_length + Margin) / tensor.Storage.Type.Size)
            throw new KoalaException(Where(name), $"has the shape {MessageText.Shape(tensor.Shape)}, more numbers than the whole file",
                PickleInput.Fix);
        var info = new TensorInfo(name, tensor.Storage.Type.Dtype, tensor.Shape, tensor.Storage.Type.Name);
        if (!_tensors.TryAdd(name, info)) throw new KoalaException(Where(name), "occurs twice", PickleInput.Fix);
        _views.Add(name, tensor);
    }

    private string Where(string name) => $"{Path}, tensor '{MessageText.Text(name)}'";
}
