using static TorchSharp.torch;

namespace Koala.Lab.Checkpoints.Pickles;

/// <summary>A number type of PyTorch's storages.</summary>
/// <param name="Name">Its class name in PyTorch.</param>
/// <param name="Dtype">The dtype that it is read as; null if Koala does not read it.</param>
/// <param name="Size">The bytes per number.</param>
internal sealed record PickleStorageType(string Name, ScalarType? Dtype, int Size)
{
    private static readonly PickleStorageType[] s_all =
    [
        new("DoubleStorage", ScalarType.Float64, 8), new("FloatStorage", ScalarType.Float32, 4),
        new("HalfStorage", ScalarType.Float16, 2), new("BFloat16Storage", ScalarType.BFloat16, 2),
        new("LongStorage", ScalarType.Int64, 8), new("IntStorage", ScalarType.Int32, 4), new("ShortStorage", ScalarType.Int16, 2),
        new("CharStorage", ScalarType.Int8, 1), new("ByteStorage", ScalarType.Byte, 1), new("BoolStorage", ScalarType.Bool, 1),
        new("ComplexFloatStorage", null, 8), new("ComplexDoubleStorage", null, 16),
    ];

    /// <summary>The names of those that Koala reads, for messages.</summary>
    internal static string Known { get; } = string.Join(", ", s_all.Where(type => type.Dtype is not null).Select(type => type.Name));

    /// <summary>Finds a type by the name of its class with its module; null if it is none. Old files name GPU storages so, too.</summary>
    internal static PickleStorageType? Find(string global)
    {
        var name = global.StartsWith("torch.cuda.", StringComparison.Ordinal) ? global["torch.cuda.".Length..]
            : global.StartsWith("torch.", StringComparison.Ordinal) ? global["torch.".Length..]
            : "";
        return Array.Find(s_all, type => type.Name == name);
    }
}
