using Koala.Lab.Runtime.Machine;

namespace Koala.Lab.Tests.Runtime;

public sealed class MachineLoadTests
{
    private static ProcessorTimes At(double seconds, double own, string stat, params (string Id, string Text)[] threads)
    {
        var times = new ProcessorTimes { Timestamp = (long)(seconds * TimeProvider.System.TimestampFrequency), OwnSeconds = own };
        return times.With(stat, "1.50 0.70 0.30 2/236 4711\n", threads.ToDictionary(thread => thread.Id, thread => thread.Text));
    }

    private static string Stat(int user, int steal) =>
        $"cpu  {user} 0 100 5000 7 0 0 {steal} 0 0\ncpu0 1 0 0 0 0 0 0 0 0 0\ncpu1 1\nintr 5\n";

    [Fact]
    public void The_load_is_what_was_counted_between_two_readings()
    {
        // In ten seconds: two threads ran for 6 and 2 s and waited for 2 and 0 s; others used 15 s on two cores.
        var start = At(100, 5, Stat(1000, 10), ("1", "1000000000 500000000 9"), ("2", "0 0 0"));
        var end = At(110, 13, Stat(3300, 110), ("1", "7000000000 2500000000 99"), ("2", "2000000000 0 3"));
        var load = MachineLoad.Between(start, end);
        Assert.Equal(1.5, load.LoadAverage);
        Assert.Equal(1.5, load.OtherCores, 9);
        Assert.Equal(0.2, load.WaitingShare, 9);
        Assert.Equal(0.05, load.StolenShare, 9);
    }

    [Fact]
    public void A_thread_that_is_new_or_took_the_id_of_an_ended_one_counts_from_zero()
    {
        var start = At(0, 0, Stat(0, 0), ("1", "9000000000 9000000000 1"));
        var end = At(1, 0, Stat(100, 0), ("1", "300000000 100000000 1"), ("2", "600000000 0 1"));
        Assert.Equal(0.1, MachineLoad.Between(start, end).WaitingShare, 9);
    }

    [Fact]
    public void Threads_that_wait_for_each_other_only_are_not_disturbed()
    {
        // Three threads on two cores: they waited for 3 s, but others ran for half a second only.
        var start = At(0, 0, Stat(0, 0), ("1", "0 0 1"), ("2", "0 0 1"), ("3", "0 0 1"));
        var end = At(5, 9.5, Stat(1000, 0), ("1", "3500000000 1000000000 1"), ("2", "3000000000 1000000000 1"),
            ("3", "3000000000 1000000000 1"));
        Assert.Equal(0.5 / 10, MachineLoad.Between(start, end).WaitingShare, 9);
    }

    [Fact]
    public void What_a_system_does_not_count_is_unknown()
    {
        var load = MachineLoad.Between(At(0, 0, "", ("1", "")), At(1, 1, "", ("1", "")));
        Assert.Equal((double.NaN, double.NaN, double.NaN), (load.OtherCores, load.WaitingShare, load.StolenShare));
    }

    [Fact]
    public void This_process_is_read()
    {
        var start = ProcessorTimes.Read();
        SpinWait.SpinUntil(() => false, TimeSpan.FromMilliseconds(60));
        var end = ProcessorTimes.Read();
        Assert.True(end.OwnSeconds > start.OwnSeconds);
        if (!OperatingSystem.IsLinux()) return;
        Assert.InRange(end.MachineCores, 1, 4096);
        Assert.True(end.LoadAverage >= 0);
        Assert.NotEmpty(end.Threads);
    }
}
