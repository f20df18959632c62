using Koala.Lab.Charts;
using Koala.Lab.Runs;
using Koala.Lab.Tests.Training;

namespace Koala.Lab.Tests.Charts;

/// <summary>The chart while training runs.</summary>
public sealed class LiveLossesTests
{
    [Fact]
    public void A_figure_is_shown_at_once_then_from_time_to_time_and_at_the_end()
    {
        var time = new Clock();
        var shown = new List<int>();
        using (var live = new LiveLosses(figure => shown.Add(StepsOf(figure)), TimeSpan.FromSeconds(1), time))
            foreach (var step in Sample.Metrics(25))
            {
                live.Add(step);
                time.Now += TimeSpan.FromSeconds(0.1).Ticks;
            }
        Assert.Equal([1, 11, 21, 25], shown);
    }

    [Fact]
    public void Nothing_new_is_not_shown_again()
    {
        var shown = 0;
        using (var live = new LiveLosses(_ => shown++, TimeSpan.Zero)) live.Add(Sample.Metrics(1)[0]);
        using (new LiveLosses(_ => shown++)) { }
        Assert.Equal(1, shown);
    }

    [Fact]
    public void A_run_and_its_control_are_shown_one_after_the_other()
    {
        using var run = new TinyRun();
        var shown = new List<int>();
        var folders = new List<RunFolder>();
        using var live = new LiveLosses(figure => shown.Add(StepsOf(figure)), TimeSpan.Zero);
        run.Start(TinyRun.Pair, progress =>
        {
            live.Report(progress);
            folders.Add(progress.Folder);
        });
        Assert.Equal([.. Enumerable.Range(1, 12), .. Enumerable.Range(1, 12)], shown);
        Assert.Equal(2, folders.Select(f => f.Path).Distinct().Count());
        Assert.Equal(12, live.Metrics.Count);
    }

    private static int StepsOf(Figure figure) =>
        System.Text.Json.JsonDocument.Parse(figure.Json).RootElement.GetProperty("data")[0].GetProperty("x").GetArrayLength();

    private sealed class Clock : TimeProvider
    {
        public long Now { get; set; }

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => Now;
    }
}
