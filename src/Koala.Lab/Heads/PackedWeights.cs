using System.IO.Hashing;
using Koala.Lab.Checkpoints;
using static TorchSharp.torch;

namespace Koala.Lab.Heads;

/// <summary>A head's weights as kernels read them, packed again when training has changed them.</summary>
/// <remarks>
/// Anybody may change a head's parameters in place, and a tensor does not tell. So their hash is taken whenever a drafter starts: it takes
/// a fifth of the time of packing. Weights that were replaced are freed once no drafter refers to them any more.
/// </remarks>
/// <typeparam name="T">The packed weights.</typeparam>
internal sealed class PackedWeights<T> : IDisposable where T : class, IDisposable
{
    private readonly Lock _lock = new();
    private UInt128 _hash;
    private T? _packed;

    /// <summary>The packed form of parameters.</summary>
    /// <param name="parameters">The parameters as they are now.</param>
    /// <param name="pack">Packs them.</param>
    public T Of(StateDict parameters, Func<T> pack)
    {
        var hash = Hash(parameters);
        lock (_lock)
        {
            if (_packed is not null && _hash == hash) return _packed;
            (_packed, _hash) = (pack(), hash);
            return _packed;
        }
    }

    public void Dispose() => _packed?.Dispose();

    private static UInt128 Hash(StateDict parameters)
    {
        using var scope = NewDisposeScope();
        var hash = new XxHash128();
        foreach (var (_, tensor) in parameters) hash.Append(tensor.detach().contiguous().bytes);
        return hash.GetCurrentHashAsUInt128();
    }
}
