using Koala.Lab.Runs;

namespace Koala.Lab.Tests.Runs;

public sealed class RunLockTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly RunFolder _run;

    public RunLockTests() => _run = SampleRun.Create(_folder.At("run"));

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_second_holder_is_refused_by_the_name_of_the_first()
    {
        using var held = RunLock.Acquire(_run, new FixedTime("2026-11-23T10:15:04Z"));
        var e = Assert.Throws<KoalaException>(() => RunLock.Acquire(_run));
        Assert.Equal($"is held by process {Environment.ProcessId} on {Environment.MachineName} since 2026-11-23 " +
            "10:15:04 UTC",
            e.Fault);
    }

    [Fact]
    public void A_released_lock_can_be_acquired_and_leaves_no_holder()
    {
        RunLock.Acquire(_run).Dispose();
        Assert.False(RunLock.IsHeld(_run));
        Assert.False(File.Exists(_run.HolderFile));
        using var again = RunLock.Acquire(_run);
        Assert.True(RunLock.IsHeld(_run));
    }

    [Fact]
    public void A_run_that_was_never_started_is_not_locked() => Assert.False(RunLock.IsHeld(_run));

    [Theory]
    [InlineData("")]
    [InlineData("{}")]
    [InlineData("null")]
    public void A_damaged_name_does_not_open_the_lock(string name)
    {
        using var held = RunLock.Acquire(_run);
        File.WriteAllText(_run.HolderFile, name);
        Assert.Contains("is held by", Assert.Throws<KoalaException>(() => RunLock.Acquire(_run)).Fault,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Another_process_holds_a_run_until_it_is_killed()
    {
        using (var other = new HoldingProcess(_run))
        {
            Assert.Equal(RunState.Running, _run.ReadRecord().State);
            var e = Assert.Throws<KoalaException>(() => RunLock.Acquire(_run));
            Assert.Contains($"process {other.Id} ", e.Fault, StringComparison.Ordinal);
            other.Kill();
        }
        Assert.Equal(RunState.Died, _run.ReadRecord().State);
        using var held = RunLock.Acquire(_run);
        Assert.Equal(RunState.Running, _run.ReadRecord().State);
    }
}
