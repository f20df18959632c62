using Koala.Lab.Runtime;
using Koala.Lab.Sweeps;

namespace Koala.Lab.Tests.Sweeps;

/// <summary>On one device several processes of a sweep train, or one evaluates.</summary>
public sealed class MachineLockTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Several_train_or_one_evaluates()
    {
        using (ToTrain("cpu"))
        using (ToTrain("cpu"))
            AssertWaits(cancel => ToEvaluate("cpu", cancel));
        using (ToEvaluate("cpu"))
        {
            AssertWaits(cancel => ToTrain("cpu", cancel));
            AssertWaits(cancel => ToEvaluate("cpu", cancel));
        }
        ToEvaluate("cpu").Dispose();
    }

    [Fact]
    public void Processes_on_one_GPU_wait_for_each_other_and_those_on_other_devices_do_not()
    {
        var before = Environment.GetEnvironmentVariable(Devices.VisibleGpusVariable);
        try
        {
            Environment.SetEnvironmentVariable(Devices.VisibleGpusVariable, "1,0");
            using var training = ToTrain("cuda");
            AssertWaits(cancel => ToEvaluate("cuda", cancel));
            ToEvaluate("cpu").Dispose();
            Environment.SetEnvironmentVariable(Devices.VisibleGpusVariable, "0,1");
            ToEvaluate("cuda").Dispose();
            Environment.SetEnvironmentVariable(Devices.VisibleGpusVariable, null);
            using var first = ToEvaluate("cuda");
            Environment.SetEnvironmentVariable(Devices.VisibleGpusVariable, "0");
            AssertWaits(cancel => ToTrain("cuda", cancel));
        }
        finally
        {
            Environment.SetEnvironmentVariable(Devices.VisibleGpusVariable, before);
        }
    }

    private MachineLock ToTrain(string device, CancellationToken cancel = default) => MachineLock.ToTrain(_folder.Path, device, cancel);

    private MachineLock ToEvaluate(string device, CancellationToken cancel = default) =>
        MachineLock.ToEvaluate(_folder.Path, device, cancel);

    // It waits until the time is over.
    private static void AssertWaits(Func<CancellationToken, MachineLock> acquire)
    {
        using var soon = new CancellationTokenSource(TimeSpan.FromMilliseconds(120));
        Assert.Throws<OperationCanceledException>(() => acquire(soon.Token).Dispose());
    }
}
