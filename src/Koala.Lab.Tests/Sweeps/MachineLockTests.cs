using Koala.Lab.Sweeps;

namespace Koala.Lab.Tests.Sweeps;

/// <summary>On one machine several processes of a sweep train, or one evaluates.</summary>
public sealed class MachineLockTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Several_train_or_one_evaluates()
    {
        var sweep = Sweep.CreateOrLoad(_folder.At("sweep"), SamplePlan.Fields(_folder).Read());
        using (MachineLock.ToTrain(sweep, CancellationToken.None))
        using (MachineLock.ToTrain(sweep, CancellationToken.None))
            AssertWaits(cancel => MachineLock.ToEvaluate(sweep, cancel));
        using (MachineLock.ToEvaluate(sweep, CancellationToken.None))
        {
            AssertWaits(cancel => MachineLock.ToTrain(sweep, cancel));
            AssertWaits(cancel => MachineLock.ToEvaluate(sweep, cancel));
        }
        MachineLock.ToEvaluate(sweep, CancellationToken.None).Dispose();
    }

    // It waits until the time is over.
    private static void AssertWaits(Func<CancellationToken, MachineLock> acquire)
    {
        using var soon = new CancellationTokenSource(TimeSpan.FromMilliseconds(120));
        Assert.Throws<OperationCanceledException>(() => acquire(soon.Token).Dispose());
    }
}
