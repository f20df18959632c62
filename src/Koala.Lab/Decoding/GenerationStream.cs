using System.Runtime.CompilerServices;
using System.Threading.Channels;

namespace Koala.Lab.Decoding;

/// <summary>Turns a generation that calls back into one that is read piece by piece.</summary>
internal static class GenerationStream
{
    /// <summary>Generates on a thread of its own. Leaving the loop early cancels the generation and waits for its end.</summary>
    /// <param name="generate">Called once with where pieces go and when to stop. What it throws, the reader throws.</param>
    /// <param name="cancel">Cancels it too.</param>
    public static async IAsyncEnumerable<GenerationChunk> Read(
        Action<Action<GenerationChunk>, CancellationToken> generate, [EnumeratorCancellation] CancellationToken cancel)
    {
        using var left = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var pieces = Channel.CreateUnbounded<GenerationChunk>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });
        var work = Task.Factory.StartNew(() =>
        {
            try
            {
                generate(chunk => pieces.Writer.TryWrite(chunk), left.Token);
                pieces.Writer.Complete();
            }
            catch (Exception e)
            {
                // Passed on to the reader, which throws it.
                pieces.Writer.Complete(e);
            }
        }, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        try
        {
            await foreach (var chunk in pieces.Reader.ReadAllAsync(CancellationToken.None)) yield return chunk;
        }
        finally
        {
            await left.CancelAsync();
            await work;
        }
    }
}
