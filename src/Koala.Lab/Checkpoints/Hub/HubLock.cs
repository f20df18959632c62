using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Checkpoints.Hub;

/// <summary>One process a content: whoever holds its lock downloads it, the others wait and then find it.</summary>
internal static class HubLock
{
    /// <param name="path">The lock's file. It stays: to remove it could let two hold it.</param>
    /// <param name="policy">How often it is looked at.</param>
    /// <param name="wait">Called once where another holds it.</param>
    /// <param name="cancel">Ends the wait.</param>
    /// <exception cref="KoalaException">The cache cannot be written.</exception>
    public static async Task<IDisposable> AcquireAsync(string path, RetryPolicy policy, Action wait, CancellationToken cancel)
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
                if (first) wait();
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw CacheFault(path, e);
            }
            await policy.Wait(policy.Look, cancel);
        }
    }

    /// <summary>The cache cannot be written.</summary>
    public static KoalaException CacheFault(string path, Exception e) => new(path, $"cannot be written ({e.Message.TrimEnd('.')})",
        "free space, or name a folder that can be written in HF_HUB_CACHE; the same command goes on where it stopped", e);
}
