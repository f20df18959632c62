using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Sweeps;

/// <summary>
/// Keeps the processes of a sweep on one machine from disturbing each other's measurements: several may train at a time, and one evaluates
/// while no other does anything.
/// </summary>
/// <remarks>
/// It is a lock on a file in the sweep's folder, one for each machine, which the operating system releases when a process ends, however it
/// ends. Nobody waits forever for the right to evaluate: the others come to an evaluation of their own, or to their end. On a GPU each
/// process has its own one, so there is no such lock.
/// </remarks>
internal sealed class MachineLock : IDisposable
{
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(50);

    private readonly FileStream _file;

    private MachineLock(FileStream file) => _file = file;

    /// <summary>Waits until nobody evaluates, and keeps others from it.</summary>
    public static MachineLock ToTrain(Sweep sweep, CancellationToken cancel) => Wait(sweep, FileAccess.Read, FileShare.Read, cancel);

    /// <summary>Waits until nobody trains or evaluates, and keeps others from both.</summary>
    public static MachineLock ToEvaluate(Sweep sweep, CancellationToken cancel) =>
        Wait(sweep, FileAccess.ReadWrite, FileShare.None, cancel);

    public void Dispose() => _file.Dispose();

    private static MachineLock Wait(Sweep sweep, FileAccess access, FileShare share, CancellationToken cancel)
    {
        var path = Path.Combine(sweep.Folder, "machines", $"{SweepSetting.FolderName(Environment.MachineName)}.lock");
        while (true)
        {
            cancel.ThrowIfCancellationRequested();
            try
            {
                Directory.CreateDirectory(Path.GetDirectoryName(path)!);
                return new MachineLock(new FileStream(path, FileMode.OpenOrCreate, access, share));
            }
            catch (IOException e) when (FileLocked.Is(e))
            {
                cancel.WaitHandle.WaitOne(s_pause);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw new KoalaException(path, $"cannot be opened ({MessageText.Sentence(e.Message)})",
                    "make the sweep's folder writable", e);
            }
        }
    }
}
