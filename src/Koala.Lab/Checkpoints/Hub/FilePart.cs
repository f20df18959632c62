using System.Net;

namespace Koala.Lab.Checkpoints.Hub;

/// <summary>A part of a file that is uploaded.</summary>
/// <param name="File">The file.</param>
/// <param name="First">The index of the part's first byte.</param>
/// <param name="Length">The number of bytes.</param>
internal sealed record FilePart(HubContent File, long First, long Length);

/// <summary>Sends a part of a file in chunks.</summary>
/// <param name="part">The part.</param>
/// <param name="sent">Called with the number of bytes of each chunk that was sent.</param>
internal sealed class FilePartContent(FilePart part, Action<int> sent) : HttpContent
{
    private const int ChunkSize = 1 << 17;

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, default);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        using var file = part.File.Open();
        file.Position = part.First;
        var buffer = new byte[ChunkSize];
        for (var left = part.Length; left > 0;)
        {
            var count = await file.ReadAsync(buffer.AsMemory(0, (int)Math.Min(left, ChunkSize)), cancellationToken);
            if (count == 0)
                throw new KoalaException(part.File.Name, "became shorter while it was uploaded", "push again when nothing writes to it");
            await stream.WriteAsync(buffer.AsMemory(0, count), cancellationToken);
            left -= count;
            sent(count);
        }
    }

    protected override bool TryComputeLength(out long length)
    {
        length = part.Length;
        return true;
    }
}
