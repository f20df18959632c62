using System.Buffers;
using System.Buffers.Binary;
using System.Text.Encodings.Web;
using System.Text.Json;
using Koala.Lab.Runtime.Files;
using static TorchSharp.torch;

namespace Koala.Lab.Checkpoints.Safetensors;

/// <summary>
/// Writes safetensors files. A file is complete or absent, and the same tensors and metadata always give the same bytes.
/// </summary>
public static class SafetensorsWriter
{
    // A span has at most 2 GiB, and a tensor may have more.
    private const long Chunk = 1 << 24;

    /// <summary>
    /// Writes tensors in their dtypes, from any device, one after the other, so that no second copy of all of them is needed.
    /// </summary>
    /// <param name="path">The file. Folders are created as needed, and an existing file is replaced as a whole.</param>
    /// <param name="tensors">
    /// The tensors, which the caller still owns. Their order does not matter: in the file they are sorted by the width of their dtype,
    /// widest first, and then by name, so that all data are aligned.
    /// </param>
    /// <param name="metadata">The strings for <c>__metadata__</c>; none by default.</param>
    /// <exception cref="ArgumentException">A name is reserved, or safetensors has no such dtype.</exception>
    /// <exception cref="KoalaException">The folder cannot be written or the disk is full.</exception>
    public static void Write(string path, StateDict tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        Check(tensors);
        var widest = tensors.OrderByDescending(t => SafetensorsDtypes.Size(t.Value.dtype));
        StateDict ordered = [.. widest.ThenBy(t => t.Key, StringComparer.Ordinal)];
        var header = Header(ordered, metadata);
        AtomicFile.Write(path, stream =>
        {
            Span<byte> length = stackalloc byte[SafetensorsHeader.Prefix];
            BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)header.Length);
            stream.Write(length);
            stream.Write(header);
            foreach (var (_, tensor) in ordered) WriteData(stream, tensor);
        });
    }

    private static void Check(StateDict tensors)
    {
        foreach (var (name, tensor) in tensors)
        {
            if (name == "__metadata__") throw new ArgumentException($"The name '{name}' is reserved.", nameof(tensors));
            if (SafetensorsDtypes.Name(tensor.dtype) is null)
                throw new ArgumentException($"Tensor '{name}' is {tensor.dtype}, but Koala writes {SafetensorsDtypes.Known}.",
                    nameof(tensors));
        }
    }

    private static byte[] Header(StateDict tensors, IReadOnlyDictionary<string, string>? metadata)
    {
        var buffer = new ArrayBufferWriter<byte>();
        var options = new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
        using (var json = new Utf8JsonWriter(buffer, options))
        {
            json.WriteStartObject();
            if (metadata is { Count: > 0 })
            {
                json.WriteStartObject("__metadata__");
                foreach (var (key, value) in metadata.OrderBy(m => m.Key, StringComparer.Ordinal))
                    json.WriteString(key, value);
                json.WriteEndObject();
            }
            var offset = 0L;
            foreach (var (name, tensor) in tensors)
            {
                json.WriteStartObject(name);
                json.WriteString("dtype", SafetensorsDtypes.Name(tensor.dtype));
                json.WriteStartArray("shape");
                foreach (var size in tensor.shape) json.WriteNumberValue(size);
                json.WriteEndArray();
                json.WriteStartArray("data_offsets");
                json.WriteNumberValue(offset);
                json.WriteNumberValue(offset += tensor.NumberOfElements * SafetensorsDtypes.Size(tensor.dtype));
                json.WriteEndArray();
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        // Spaces fill the header up to a multiple of 8 bytes, so that the data after it are aligned in a mapped file.
        buffer.GetSpan(7)[..7].Fill((byte)' ');
        buffer.Advance((8 - buffer.WrittenCount % 8) % 8);
        return buffer.WrittenSpan.ToArray();
    }

    private static void WriteData(Stream stream, Tensor tensor)
    {
        using var scope = NewDisposeScope();
        var flat = tensor.detach().cpu().contiguous().view(-1);
        var count = Chunk / SafetensorsDtypes.Size(flat.dtype);
        for (var start = 0L; start < flat.NumberOfElements; start += count)
        {
            using var part = flat.narrow(0, start, Math.Min(count, flat.NumberOfElements - start));
            stream.Write(part.bytes);
        }
    }
}
