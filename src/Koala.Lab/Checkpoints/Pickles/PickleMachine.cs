using System.Buffers.Binary;

namespace Koala.Lab.Checkpoints.Pickles;

/// <summary>
/// Reads one pickle, as far as PyTorch uses pickles for tensors: dictionaries, lists, tuples, texts, numbers and tensors. It runs nothing:
/// a pickle that names any other class or function is refused where it does.
/// </summary>
/// <remarks>
/// The instructions are those of Python's pickletools up to protocol 5. Values are kept on a list, so that deep nesting takes no stack.
/// </remarks>
internal sealed class PickleMachine(PickleInput input)
{
    internal const string Unsafe = "use the publisher's safetensors, or let somebody who trusts the file save its tensors alone: "
        + "torch.save(model.state_dict(), path)";

    // A tensor takes about thirty values.
    private const int MostValues = 4 << 20;
    private const int MostDimensions = 64;
    private const string OrderedDictionary = "collections.OrderedDict";

    private readonly List<object?> _stack = [];
    private readonly Dictionary<long, object?> _memo = [];
    private readonly Dictionary<string, PickleStorage> _storages = [];
    private int _values;

    /// <summary>The storages that the tensors refer to, by key.</summary>
    internal IReadOnlyDictionary<string, PickleStorage> Storages => _storages;

    /// <summary>Reads up to the end of the pickle.</summary>
    /// <returns>
    /// Null, a bool, a long, a double, a string, a byte array, an array (tuple), a list, or one of the types of PickleValues.cs.
    /// </returns>
    /// <exception cref="KoalaException">It is damaged, or holds something that is no part of tensors.</exception>
    internal object? Read()
    {
        while (true)
        {
            var code = input.Byte();
            if (code == (byte)'.') return _stack.Count == 1 ? _stack[0] : throw input.Fault($"ends with {_stack.Count} values, not one");
            Execute(code);
        }
    }

    private void Execute(byte code)
    {
        switch (code)
        {
            case 0x80: CheckProtocol(input.Byte()); break;
            case 0x95: input.Take(8); break;                                                   // FRAME
            case (byte)'(': Push(PickleMark.Instance); break;
            case (byte)'0': Pop(); break;
            case (byte)'1': PopToMark(); break;
            case (byte)'N': Push(null); break;
            case 0x88: Push(true); break;
            case 0x89: Push(false); break;
            case (byte)'K': Push((long)input.Byte()); break;
            case (byte)'M': Push((long)BinaryPrimitives.ReadUInt16LittleEndian(input.Take(2))); break;
            case (byte)'J': Push((long)BinaryPrimitives.ReadInt32LittleEndian(input.Take(4))); break;
            case 0x8a: Push(Long(input.Byte())); break;
            case (byte)'G': Push(BinaryPrimitives.ReadDoubleBigEndian(input.Take(8))); break;
            case 0x8c: Push(input.Text(input.Byte())); break;
            case (byte)'X': Push(input.Text(UInt32())); break;
            case (byte)'U': Push(input.Text(input.Byte())); break;                             // Python 2's texts
            case (byte)'T': Push(input.Text(UInt32())); break;
            case (byte)'C': Push(input.Take(input.Byte()).ToArray()); break;
            case (byte)'B': Push(input.Take(UInt32()).ToArray()); break;
            case (byte)'}': Push(new PickleDictionary()); break;
            case (byte)']': Push(new List<object?>()); break;
            case (byte)')': Push(Array.Empty<object?>()); break;
            case (byte)'t': Push(PopToMark()); break;
            case 0x85: Push(PopMany(1)); break;
            case 0x86: Push(PopMany(2)); break;
            case 0x87: Push(PopMany(3)); break;
            case (byte)'a': Append(PopMany(1)); break;
            case (byte)'e': Append(PopToMark()); break;
            case (byte)'s': SetItems(PopMany(2)); break;
            case (byte)'u': SetItems(PopToMark()); break;
            case (byte)'q': _memo[input.Byte()] = Top(); break;
            case (byte)'r': _memo[UInt32()] = Top(); break;
            case 0x94: _memo[_memo.Count] = Top(); break;
            case (byte)'h': Push(Remembered(input.Byte())); break;
            case (byte)'j': Push(Remembered(UInt32())); break;
            case (byte)'c': Push(Global(input.Line(), input.Line())); break;
            case 0x93:
                var names = PopMany(2);
                Push(Global(names[0] as string ?? "?", names[1] as string ?? "?"));
                break;
            case (byte)'Q': Push(Storage(Pop())); break;
            case (byte)'R':
                var call = PopMany(2);
                Push(Call(call[0] as PickleGlobal, call[1] as object?[]));
                break;
            case (byte)'b':
                Pop();
                // The state of an ordered dictionary is what a module notes about itself; its tensors are the entries.
                if (Top() is not PickleDictionary) throw NoTensor("sets the state of an object");
                break;
            default: throw NoTensor($"has the instruction 0x{code:x2}");
        }
    }

    private void CheckProtocol(byte protocol)
    {
        if (protocol is < 2 or > 5) throw input.Fault($"is a pickle of protocol {protocol}, but PyTorch writes 2 to 5");
    }

    private PickleGlobal Global(string module, string name)
    {
        var full = $"{module}.{name}";
        var isKnown = full is OrderedDictionary or "torch._utils._rebuild_tensor_v2" or "torch._utils._rebuild_tensor"
            or "torch._utils._rebuild_parameter" || PickleStorageType.Find(full) is not null;
        return isKnown ? new PickleGlobal(full) : throw NoTensor($"names '{MessageText.Text(full)}'");
    }

    // What the four known functions return. Nothing is called.
    private object? Call(PickleGlobal? function, object?[]? arguments)
    {
        switch (function?.Name)
        {
            case OrderedDictionary when arguments is []:
                return new PickleDictionary();
            case OrderedDictionary when arguments is [List<object?> pairs]:
                var dictionary = new PickleDictionary();
                dictionary.Entries.AddRange(pairs.Select(Pair));
                return dictionary;
            case "torch._utils._rebuild_parameter" when arguments is [PickleTensor tensor, ..]:
                return tensor;
            case "torch._utils._rebuild_tensor_v2" or "torch._utils._rebuild_tensor"
                when arguments is [PickleStorage storage, long offset, object?[] shape, object?[] strides, ..]:
                return Tensor(storage, offset, shape, strides);
            default:
                throw NoTensor(function is null
                    ? "calls what is no function"
                    : $"calls {function.Name} with other arguments than tensors have");
        }
    }

    private KeyValuePair<object?, object?> Pair(object? pair) => pair switch
    {
        object?[] and [var key, var value] => new(key, value),
        List<object?> and [var key, var value] => new(key, value),
        _ => throw input.Fault("an ordered dictionary has an entry that is no pair"),
    };

    private PickleTensor Tensor(PickleStorage storage, long offset, object?[] shape, object?[] strides)
    {
        if (shape.Length != strides.Length || shape.Length > MostDimensions || offset < 0
            || !shape.All(size => size is >= 0L) || !strides.All(stride => stride is >= 0L))
            throw input.Fault("a tensor's shape, strides or offset are no whole numbers from 0");
        var tensor = new PickleTensor(storage, offset, [.. shape.Cast<long>()], [.. strides.Cast<long>()]);
        Int128 count = 1, last = offset;
        for (var i = 0; i < tensor.Shape.Length; i++)
        {
            // A zero counts as one here, so that the other sizes of an empty tensor are also bounded.
            count *= Math.Max(tensor.Shape[i], 1);
            last += (Int128)Math.Max(tensor.Shape[i] - 1, 0) * tensor.Strides[i];
            if (count > long.MaxValue / 16 || last > long.MaxValue / 16) throw input.Fault("a tensor is larger than a file can hold");
        }
        if (!tensor.Shape.Contains(0) && last >= storage.Count)
            throw input.Fault($"a tensor of shape {MessageText.Shape(tensor.Shape)} reaches behind its storage of {storage.Count} numbers");
        return tensor;
    }

    // ('storage', class, key, device, count), and in older files a view, which is none here.
    private PickleStorage Storage(object? id)
    {
        if (id is not object?[] fields || fields is not ["storage", ..]) throw NoTensor("refers to something outside that is no storage");
        if (fields is not (["storage", PickleGlobal, string, string, long] or ["storage", PickleGlobal, string, string, long, null])
            || fields is not [_, PickleGlobal type, string key, _, long count, ..]
            || PickleStorageType.Find(type.Name) is not { } storageType
            || count is < 0 or > long.MaxValue / 16)
            throw input.Fault("a storage has other fields than PyTorch writes");
        var storage = new PickleStorage(storageType, key, count);
        if (_storages.TryAdd(key, storage)) return storage;
        return _storages[key] == storage ? storage : throw input.Fault($"storage '{MessageText.Text(key)}' occurs with two types or sizes");
    }

    private void Append(object?[] items)
    {
        if (Top() is not List<object?> list) throw input.Fault("appends to what is no list");
        list.AddRange(items);
    }

    private void SetItems(object?[] items)
    {
        if (Top() is not PickleDictionary dictionary || items.Length % 2 != 0) throw input.Fault("sets entries of what is no dictionary");
        for (var i = 0; i < items.Length; i += 2) dictionary.Entries.Add(new(items[i], items[i + 1]));
    }

    private object? Remembered(long index) =>
        _memo.TryGetValue(index, out var value) ? value : throw input.Fault($"refers to value {index}, which is not there yet");

    private long Long(int count)
    {
        if (count > sizeof(long)) throw input.Fault($"has a whole number of {count} bytes");
        var bytes = input.Take(count);
        var value = count > 0 && (bytes[^1] & 0x80) != 0 ? -1L : 0L;
        for (var i = count - 1; i >= 0; i--) value = value << 8 | bytes[i];
        return value;
    }

    private long UInt32() => BinaryPrimitives.ReadUInt32LittleEndian(input.Take(4));

    private void Push(object? value)
    {
        if (++_values > MostValues) throw input.Fault($"has more than {MostValues} values, so it holds more than tensors");
        _stack.Add(value);
    }

    private object? Top() => _stack.Count > 0 && _stack[^1] is not PickleMark
        ? _stack[^1]
        : throw input.Fault("takes a value where none is");

    private object? Pop()
    {
        var value = Top();
        _stack.RemoveAt(_stack.Count - 1);
        return value;
    }

    private object?[] PopMany(int count)
    {
        var values = new object?[count];
        for (var i = count - 1; i >= 0; i--) values[i] = Pop();
        return values;
    }

    private object?[] PopToMark()
    {
        var mark = _stack.FindLastIndex(value => value is PickleMark);
        if (mark < 0) throw input.Fault("ends a list that never began");
        object?[] values = [.. _stack.Skip(mark + 1)];
        _stack.RemoveRange(mark, _stack.Count - mark);
        return values;
    }

    private KoalaException NoTensor(string what) =>
        input.Fault($"the pickle {what}, which is no part of tensors; Koala reads tensors only and runs nothing", Unsafe);
}
