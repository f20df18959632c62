using Koala.Lab.Decoding;
using TorchSharp;

namespace Koala.Lab.Tests.Decoding;

/// <summary>Rounds leave no tensor behind.</summary>
public sealed class MemoryTests
{
    [Theory, InlineData(0.0, false), InlineData(0.0, true), InlineData(1.0, false), InlineData(0.7, true)]
    public void The_number_of_live_tensors_is_constant_over_200_rounds(double temperature, bool fullTrace)
    {
        var live = DisposeScopeManager.Statistics.TensorStatistics;
        using var head = PlainDecoding.RecordedHead();
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        var options = new GenerationOptions
        {
            MaxTokens = 200, Temperature = temperature, TopP = temperature == 0 ? 1 : 0.95, FullTrace = fullTrace,
        };
        var prompt = Golden.Prompts("koala-nano")[3].Ids;
        decoder.Generate(prompt, options);   // creates the cache
        var before = live.ThreadTotalLiveCount;
        var (rounds, counts) = (0, new List<long>());
        for (var stream = 0; rounds < 200; stream++)
            rounds += decoder.Generate(prompt, options with { Stream = stream },
                _ => counts.Add(live.ThreadTotalLiveCount)).Rounds.Count;
        Assert.Equal(before, live.ThreadTotalLiveCount);
        // The number of tensors is the same at every round within an answer too, except for prefill, which is another
        // scope.
        Assert.InRange(counts.Distinct().Count(), 1, 3);
        Assert.InRange(counts.Max() - counts.Min(), 0, 12);
    }

    [Fact]
    public void Disposing_frees_the_cache()
    {
        var live = DisposeScopeManager.Statistics.TensorStatistics;
        var prompt = Golden.Prompts("koala-nano")[3].Ids;
        using var head = PlainDecoding.RecordedHead();
        var before = live.ThreadTotalLiveCount;
        using (var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false })
        {
            decoder.Generate(prompt, new GenerationOptions { MaxTokens = 5 });
            decoder.Generate(prompt, new GenerationOptions { MaxTokens = 200 });   // a larger cache replaces the first
        }
        Assert.Equal(before, live.ThreadTotalLiveCount);
    }

    [Fact]
    public void A_cancelled_answer_leaves_nothing()
    {
        var live = DisposeScopeManager.Statistics.TensorStatistics;
        using var head = PlainDecoding.RecordedHead();
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        var prompt = Golden.Prompts("koala-nano")[3].Ids;
        decoder.Generate(prompt, new GenerationOptions { MaxTokens = 30 });
        var before = live.ThreadTotalLiveCount;
        using var cancel = new CancellationTokenSource();
        var pieces = 0;
        Assert.ThrowsAny<OperationCanceledException>(() =>
            decoder.Generate(prompt, new GenerationOptions { MaxTokens = 30 }, _ =>
        {
            if (++pieces == 4) cancel.Cancel();
        }, cancel.Token));
        Assert.Equal(4, pieces);
        Assert.Equal(before, live.ThreadTotalLiveCount);
    }
}
