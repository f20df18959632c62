using static TorchSharp.torch;

namespace Koala.Lab.Tests.Targets;

/// <summary>A number of threads for a part of a test; afterwards it is what it was.</summary>
internal sealed class ThreadsScope : IDisposable
{
    private readonly int _before = get_num_threads();

    public ThreadsScope(int threads) => set_num_threads(threads);

    public void Dispose() => set_num_threads(_before);
}
