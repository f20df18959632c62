using Koala.Lab.Runtime.Native;
using TorchSharp;

namespace Koala.Lab.Targets;

/// <summary>
/// Moves rows of all layers of a cache in one native call. After a round with a tree a few rows have to move in two
/// tensors per layer.
/// </summary>
internal static class CacheScript
{
    // All rows are gathered before any is written, because a row may move to where another one was.
    private const string Source = """
        def move(keys: List[Tensor], values: List[Tensor], source, target):
            for i in range(len(keys)):
                keys[i].index_copy_(0, target, keys[i].index_select(0, source))
                values[i].index_copy_(0, target, values[i].index_select(0, source))
            return source

        """;

    private static readonly Lazy<torch.jit.CompilationUnit> s_unit = new(() => torch.jit.compile(Source));

    public static void Move(torch.Tensor[] keys, torch.Tensor[] values, torch.Tensor from, torch.Tensor to) =>
        ((torch.Tensor)s_unit.Value.Call("move", keys, values, from, to)).Dispose();
}
