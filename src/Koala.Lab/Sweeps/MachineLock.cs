using Koala.Lab.Runtime;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Sweeps;

/// <summary>
/// Keeps the processes of a sweep on one device, the CPU of a machine or one of its GPUs, from disturbing each other's measurements:
/// several may train at a time, and one evaluates while no other does anything.
/// </summary>
/// <remarks>
/// It is a lock on a file in the sweep's folder, one for each device, which the operating system releases when a process ends, however it
/// ends. Nobody waits forever for the right to evaluate: the others come to an evaluation of their own, or to their end.
/// </remarks>
internal sealed class MachineLock : IDisposable
{
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(50);

    private readonly FileStream _file;

    private MachineLock(FileStream file) => _file = file;

    /// <summary>Waits until nobody evaluates, and keeps others from it.</summary>
    /// <param name="folder">The sweep's folder.</param>
    /// <param name="device">The sweep's device, <c>cpu</c> or <c>cuda</c>.</param>
    /// <param name="cancel">Ends the waiting.</param>
    public static MachineLock ToTrain(string folder, string device, CancellationToken cancel) =>
        Wait(folder, device, FileAccess.Read, FileShare.Read, cancel);

    /// <summary>Waits until nobody trains or evaluates, and keeps others from both; see <see cref="ToTrain"/>.</summary>
    public static MachineLock ToEvaluate(string folder, string device, CancellationToken cancel) =>
        Wait(folder, device, FileAccess.ReadWrite, FileShare.None, cancel);

    public void Dispose() => _file.Dispose();

    private static MachineLock Wait(string folder, string device, FileAccess access, FileShare share, CancellationToken cancel)
    {
        var path = Path.Combine(folder, "machines", SweepSetting.FolderName(Environment.MachineName) + Suffix(device) + ".lock");
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

    // A process computes on the first GPU that it sees.
    private static string Suffix(string device)
    {
        if (device == "cpu") return "";
        var visible = Environment.GetEnvironmentVariable(Devices.VisibleGpusVariable);
        return "-gpu-" + SweepSetting.FolderName(string.IsNullOrEmpty(visible) ? "0" : visible.Split(',')[0].Trim());
    }
}
