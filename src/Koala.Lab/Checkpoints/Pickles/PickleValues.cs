namespace Koala.Lab.Checkpoints.Pickles;

/// <summary>A class or function that a pickle names. It is never looked up: only its name is known.</summary>
/// <param name="Name">The module and the name, joined by a dot.</param>
internal sealed record PickleGlobal(string Name);

/// <summary>The place where a list, a tuple or a dictionary begins on the stack.</summary>
internal sealed record PickleMark
{
    internal static PickleMark Instance { get; } = new();
}

/// <summary>A dictionary of Python, in the order of its entries.</summary>
internal sealed class PickleDictionary
{
    internal List<KeyValuePair<object?, object?>> Entries { get; } = [];
}

/// <summary>Numbers of a file that one tensor or several look at.</summary>
/// <param name="Type">Their number type.</param>
/// <param name="Key">The name under which the file holds them.</param>
/// <param name="Count">How many there are.</param>
internal sealed record PickleStorage(PickleStorageType Type, string Key, long Count);

/// <summary>A tensor: a view of a storage.</summary>
/// <param name="Storage">The storage.</param>
/// <param name="Offset">The index of its first number in the storage.</param>
/// <param name="Shape">The sizes of its dimensions, outermost first.</param>
/// <param name="Strides">The distance between neighbours in each dimension, in numbers; 0 or more.</param>
internal sealed record PickleTensor(PickleStorage Storage, long Offset, long[] Shape, long[] Strides)
{
    /// <summary>The number of its elements.</summary>
    internal long Count => Shape.Aggregate(1L, (count, size) => count * size);

    /// <summary>How many numbers of the storage it reaches over, from its first to its last.</summary>
    internal long Extent => Count == 0 ? 0 : 1 + Shape.Zip(Strides, (size, stride) => (size - 1) * stride).Sum();

    /// <summary>Whether its elements stand one after another in the storage.</summary>
    internal bool IsContiguous
    {
        get
        {
            var expected = 1L;
            for (var i = Shape.Length - 1; i >= 0; i--)
            {
                if (Shape[i] != 1 && Strides[i] != expected) return false;
                expected *= Shape[i];
            }
            return true;
        }
    }
}
