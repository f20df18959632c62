using System.Buffers.Binary;
using System.Text;

namespace Koala.Lab.Tests.Checkpoints;

/// <summary>Safetensors files written by hand, valid and invalid ones.</summary>
internal static class SafetensorsBytes
{
    /// <summary>The length, the header and <paramref name="data"/> bytes that count up from 0.</summary>
    public static byte[] File(string header, int data = 0) => File(Encoding.UTF8.GetBytes(header), data);

    public static byte[] File(ReadOnlySpan<byte> header, int data = 0)
    {
        var bytes = new byte[8 + header.Length + data];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, (ulong)header.Length);
        header.CopyTo(bytes.AsSpan(8));
        for (var i = 0; i < data; i++) bytes[8 + header.Length + i] = (byte)i;
        return bytes;
    }

    /// <summary>A valid file of five tensors (one empty, one scalar) and metadata.</summary>
    public static byte[] Small() => File(
        """{"__metadata__":{"by":"h\u00e4nd"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"empty":""" +
        """{"dtype":"I64","shape":[0,4],"data_offsets":[24,24]},"b":{"dtype":"BF16","shape":[],"data_offsets":""" +
        """[24,26]},"c":{"dtype":"BOOL","shape":[3],"data_offsets":[26,29]},"d":{"dtype":"I16","shape":[1,1]""" +
        ""","data_offsets":[29,31]}}""",
        31);
}
