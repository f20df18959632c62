using System.Collections;
using System.Runtime.CompilerServices;
using static TorchSharp.torch;

namespace Koala.Lab.Checkpoints;

/// <summary>
/// Named tensors in a fixed order, like PyTorch's <c>state_dict</c>. It can be written as a collection: <c>[new("weight", weight)]</c>.
/// </summary>
/// <remarks>
/// It has references; no tensor is copied. <see cref="Dispose"/> frees the tensors themselves, so only their owner may call it. The
/// member that returns a state dict says who the owner is: the head owns its <c>Parameters</c>, and the caller owns what <c>ToStateDict</c>
/// returns.
/// </remarks>
[CollectionBuilder(typeof(StateDict), nameof(Create))]
public sealed class StateDict : IReadOnlyList<KeyValuePair<string, Tensor>>, IDisposable
{
    private readonly OrderedDictionary<string, Tensor> _tensors;

    private StateDict(OrderedDictionary<string, Tensor> tensors) => _tensors = tensors;

    /// <summary>The number of tensors.</summary>
    public int Count => _tensors.Count;

    /// <summary>The name and the tensor at an index.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such index.</exception>
    public KeyValuePair<string, Tensor> this[int index] => _tensors.GetAt(index);

    /// <summary>The tensor with a name.</summary>
    /// <exception cref="KeyNotFoundException">There is no such name.</exception>
    public Tensor this[string name] => _tensors[name];

    /// <summary>Returns the tensor with a name; null if there is none.</summary>
    public Tensor? Find(string name) => _tensors.GetValueOrDefault(name);

    /// <summary>Creates a state dict of names and tensors, in the given order.</summary>
    /// <exception cref="ArgumentException">A name occurs twice.</exception>
    public static StateDict Create(ReadOnlySpan<KeyValuePair<string, Tensor>> tensors)
    {
        var byName = new OrderedDictionary<string, Tensor>(tensors.Length, StringComparer.Ordinal);
        foreach (var (name, tensor) in tensors) byName.Add(name, tensor);
        return new StateDict(byName);
    }

    /// <inheritdoc/>
    public IEnumerator<KeyValuePair<string, Tensor>> GetEnumerator() => _tensors.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <summary>Frees all tensors.</summary>
    public void Dispose()
    {
        foreach (var tensor in _tensors.Values) tensor.Dispose();
    }
}
