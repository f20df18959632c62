using System.Runtime.CompilerServices;
using System.Threading.Channels;

namespace Koala.Lab.Decoding;

/// <summary>Turns a generation that calls back into one that is read chunk by chunk.</summary>
internal static class GenerationStream
{
    /// <summary>
    /// Generates on a thread of its own. Leaving the loop early cancels the generation and waits for its end.
    /// </summary>
    /// <param name="generate">
    /// The generation. It is called once, with a callback for its chunks and a token that stops it. The reader throws
    /// what it throws.
    /// </param>
    /// <param name="cancel">This token cancels the generation too.</param>
    public static async IAsyncEnumerable<GenerationChunk> Read(
        Action<Action<GenerationChunk>, CancellationToken> generate, [EnumeratorCancellation] CancellationToken cancel)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var chunks = Channel.CreateUnbounded<GenerationChunk>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });
        var work = Task.Factory.StartNew(() =>
        {
            try
            {
                generate(chunk => chunks.Writer.TryWrite(chunk), stop.Token);
                chunks.Writer.Complete();
            }
            catch (Exception e)
            {
                // The reader throws it.
                chunks.Writer.Complete(e);
            }
        }, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        try
        {
            await foreach (var chunk in chunks.Reader.ReadAllAsync(CancellationToken.None)) yield return chunk;
        }
        finally
        {
            await stop.CancelAsync();
            await work;
        }
    }
}
