using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Checkpoints.Hub;

/// <summary>
/// The lock that allows only one process per content: the process that holds it downloads the content; the others wait and then find it.
/// </summary>
internal static class HubLock
{
    /// <param name="path">The lock's file. It is never removed, because two processes could then hold the lock.</param>
    /// <param name="policy">How often to try.</param>
    /// <param name="waiting">Called once if another process holds the lock.</param>
    /// <param name="cancel">Cancels the wait.</param>
    /// <exception cref="KoalaException">The cache cannot be written.</exception>
    public static async Task<IDisposable> AcquireAsync(string path, RetryPolicy policy, Action waiting, CancellationToken cancel)
    {
        for (var first = true; ; first = false)
        {
            try
            {
                Directory.CreateDirectory(Path.GetDirectoryName(path)!);
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException e) when (FileLocked.Is(e))
            {
                if (first) waiting();
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw CacheFault(path, e);
            }
            await policy.Wait(policy.PollInterval, cancel);
        }
    }

    /// <summary>Creates the exception for a cache that cannot be written.</summary>
    public static KoalaException CacheFault(string path, Exception e) => new(path, $"cannot be written ({e.Message.TrimEnd('.')})",
        "free space, or set HF_HUB_CACHE to a folder that can be written; the same command continues where it stopped", e);
}
