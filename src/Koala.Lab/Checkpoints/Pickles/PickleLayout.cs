using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;

namespace Koala.Lab.Checkpoints.Pickles;

/// <summary>What a file of torch.save holds: its object, and where the numbers of each storage stand.</summary>
/// <param name="Root">The object.</param>
/// <param name="Storages">The storages by key, with the offset of their first byte in the file.</param>
internal sealed record PickleLayout(object? Root, IReadOnlyDictionary<string, (PickleStorage Storage, long Start)> Storages)
{
    private const string Fix = PickleInput.Fix;
    private const string PickleName = "data.pkl";
    private const long OldProtocol = 1001;

    // The number that the older stream begins with, as a pickle of its own.
    private static readonly byte[] s_oldStart =
        [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, (byte)'.'];

    /// <summary>Whether the file begins as one of torch.save does.</summary>
    internal static bool Begins(ReadOnlySpan<byte> start) =>
        start is [(byte)'P', (byte)'K', 3, 4, ..] or [0x80, >= 2 and <= 5, ..];

    /// <exception cref="KoalaException">It is damaged, or holds more than tensors.</exception>
    internal static PickleLayout Read(SafeFileHandle file, string path, long length)
    {
        var start = new byte[Math.Min(length, s_oldStart.Length)];
        FileBytes.Fill(file, start, 0, path);
        if (start is [(byte)'P', (byte)'K', ..]) return ReadZip(file, path, length);
        if (start.AsSpan().SequenceEqual(s_oldStart)) return ReadStream(file, path, length);
        throw new KoalaException(path, start is [0x80, ..]
            ? "is a pickle, but not one that torch.save wrote"
            : "is no file of torch.save: it begins neither as an archive nor as the older stream", Fix);
    }

    // An archive with the object in data.pkl, and each storage as a file of its own under data/.
    private static PickleLayout ReadZip(SafeFileHandle file, string path, long length)
    {
        var directory = ZipDirectory.Read(file, path, length);
        string[] pickles = [.. directory.Names.Where(name => name.Split('/') is [_, PickleName])];
        if (pickles is not [var pickle])
            throw new KoalaException(path, $"is an archive with {pickles.Length} files {PickleName}, but torch.save writes one", Fix);
        var folder = pickle[..^PickleName.Length];
        if (directory.Names.Any(name => name == $"{folder}constants.pkl" || name.StartsWith($"{folder}code/", StringComparison.Ordinal)))
            throw new KoalaException(path, "is a TorchScript program, not a file of tensors", PickleMachine.Unsafe);
        if (directory.Has($"{folder}byteorder"))
        {
            var (at, count) = directory.Find($"{folder}byteorder");
            var order = new byte[Math.Min(count, 8)];
            FileBytes.Fill(file, order, at, path);
            if (!order.AsSpan().SequenceEqual("little"u8)) throw BigEndian(path);
        }
        var (start, size) = directory.Find(pickle);
        var machine = new PickleMachine(new PickleInput(file, path, start, start + size));
        var root = machine.Read();
        var storages = new Dictionary<string, (PickleStorage, long)>(StringComparer.Ordinal);
        foreach (var (key, storage) in machine.Storages)
        {
            var (at, bytes) = directory.Find($"{folder}data/{key}");
            if (bytes != storage.Count * storage.Type.Size)
                throw new KoalaException($"{path}, '{MessageText.Text($"{folder}data/{key}")}'",
                    $"has {bytes} bytes, but the pickle says {storage.Count} numbers of {storage.Type.Size} bytes", Fix);
            storages.Add(key, (storage, at));
        }
        return new PickleLayout(root, storages);
    }

    // Five pickles (a number, the version, the machine, the object, the keys of the storages), then the storages in the order of the keys,
    // each with its count before it.
    private static PickleLayout ReadStream(SafeFileHandle file, string path, long length)
    {
        var input = new PickleInput(file, path, s_oldStart.Length, length);
        if (new PickleMachine(input).Read() is not OldProtocol) throw input.Fault($"is of another version than {OldProtocol}");
        var machineOf = new PickleMachine(input).Read() as PickleDictionary;
        if (machineOf?.Entries.FirstOrDefault(entry => entry.Key is "little_endian").Value is not true) throw BigEndian(path);
        var machine = new PickleMachine(input);
        var root = machine.Read();
        if (new PickleMachine(input).Read() is not List<object?> keys) throw input.Fault("has no list of its storages");
        var storages = new Dictionary<string, (PickleStorage, long)>(StringComparer.Ordinal);
        var at = input.Position;
        foreach (var item in keys)
        {
            if (item is not string key || !machine.Storages.TryGetValue(key, out var storage) || !storages.TryAdd(key, (storage, at + 8)))
                throw input.Fault("the list of its storages has one that no tensor refers to");
            var count = new byte[sizeof(long)];
            if (at > length - count.Length) throw input.Fault("the file ends before its storages: it is cut short");
            FileBytes.Fill(file, count, at, path);
            var bytes = storage.Count * storage.Type.Size;
            if (BinaryPrimitives.ReadInt64LittleEndian(count) != storage.Count || bytes > length - at - count.Length)
                throw new KoalaException($"{path}, byte {at}", $"storage '{MessageText.Text(key)}' of {storage.Count} numbers is cut short",
                    Fix);
            at += count.Length + bytes;
        }
        if (storages.Count != machine.Storages.Count) throw input.Fault("the list of its storages lacks some");
        return new PickleLayout(root, storages);
    }

    private static KoalaException BigEndian(string path) =>
        new(path, "was written on a machine with another order of bytes", "use the publisher's safetensors");
}
