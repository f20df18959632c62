namespace Koala.Lab.Checkpoints.Hub;

/// <summary>How often requests to the hub are repeated, and how long Koala waits.</summary>
internal sealed record RetryPolicy
{
    /// <summary>The number of consecutive attempts without progress after which Koala gives up. Default 5.</summary>
    public int Attempts { get; init; } = 5;

    /// <summary>The pause after the first failed attempt; each further pause is twice as long. Default 1 second.</summary>
    public TimeSpan FirstPause { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// The longest pause that the hub may ask for (Retry-After). Default 5 minutes, the period over which the hub counts its rate limits.
    /// </summary>
    public TimeSpan LongestPause { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>The time limit for establishing a connection. Default 15 seconds.</summary>
    public TimeSpan Connect { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>The time limit for the beginning of a response and for its next bytes. Default 60 seconds.</summary>
    public TimeSpan Idle { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>The interval between checks of a file that another process is downloading. Default a quarter of a second.</summary>
    public TimeSpan PollInterval { get; init; } = TimeSpan.FromMilliseconds(250);

    /// <summary>Waits for a time span; tests replace it.</summary>
    public Func<TimeSpan, CancellationToken, Task> Wait { get; init; } = Task.Delay;
}

/// <summary>A fault of the network or the hub after which another attempt may succeed.</summary>
/// <param name="message">What happened.</param>
/// <param name="retryAfter">How long the hub asks to wait; null leaves it to the <see cref="RetryPolicy"/>.</param>
/// <param name="inner">The exception that caused it.</param>
internal sealed class TransientHubException(string message, TimeSpan? retryAfter = null, Exception? inner = null)
    : Exception(message, inner)
{
    public TimeSpan? RetryAfter { get; } = retryAfter;
}

/// <summary>Repeats attempts until one succeeds, with growing pauses between them.</summary>
/// <param name="policy">The number of attempts and the length of the pauses.</param>
/// <param name="done">What is to be done, for messages: "downloaded" or "uploaded".</param>
/// <param name="notify">Called with what happened, before each pause.</param>
internal sealed class HubRetry(RetryPolicy policy, string done, Action<string> notify)
{
    /// <param name="where">The file or the repository, for messages.</param>
    /// <param name="attempt">Makes one attempt; a <see cref="TransientHubException"/> leads to another attempt.</param>
    /// <param name="progress">
    /// Returns a number that grows as attempts make progress. After an attempt with progress, counting starts again.
    /// </param>
    /// <param name="cancel">Cancels the attempt or the pause.</param>
    /// <exception cref="KoalaException">All attempts failed, or the hub asks for too long a pause.</exception>
    public async Task<T> RunAsync<T>(string where, Func<Task<T>> attempt, Func<long> progress, CancellationToken cancel)
    {
        for (var failures = 1; ; failures++)
        {
            var progressBefore = progress();
            try
            {
                return await attempt();
            }
            catch (TransientHubException e)
            {
                if (progress() > progressBefore) failures = 1;
                if (failures >= policy.Attempts)
                    throw new KoalaException(where, $"could not be {done} in {failures} attempts; in the last one {e.Message}",
                        "check the network and try again: the same command continues where it stopped", e);
                var pause = e.RetryAfter ?? policy.FirstPause * (1 << (failures - 1));
                if (pause > policy.LongestPause)
                    throw new KoalaException(where,
                        $"cannot be {done} now: {e.Message} and asks to wait {pause.TotalSeconds:F0} seconds",
                        "try again after that time: the same command continues where it stopped", e);
                notify($"{where}: {e.Message}; trying again in {pause.TotalSeconds:0.#} s");
                await policy.Wait(pause, cancel);
            }
        }
    }
}
