namespace Koala.Lab.Checkpoints.Hub;

/// <summary>How long the hub is waited for.</summary>
internal sealed record RetryPolicy
{
    /// <summary>Attempts in a row that bring nothing before Koala gives up. Default 5.</summary>
    public int Attempts { get; init; } = 5;

    /// <summary>The pause after the first failed attempt; each next one is twice as long. Default 1 second.</summary>
    public TimeSpan FirstPause { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>The longest pause that the hub may ask for (Retry-After). Default 5 minutes, the span its limits are counted over.</summary>
    public TimeSpan LongestPause { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>For a connection to be made. Default 15 seconds.</summary>
    public TimeSpan Connect { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>For an answer to begin, and for the next bytes of it. Default 60 seconds.</summary>
    public TimeSpan Idle { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Between looks at a file that another process downloads. Default a quarter of a second.</summary>
    public TimeSpan Look { get; init; } = TimeSpan.FromMilliseconds(250);

    /// <summary>How time passes.</summary>
    public Func<TimeSpan, CancellationToken, Task> Wait { get; init; } = Task.Delay;
}

/// <summary>A fault of the network or the hub after which another attempt may do.</summary>
/// <param name="message">What happened.</param>
/// <param name="retryAfter">How long the hub asks to wait; null: as long as Koala thinks right.</param>
/// <param name="inner">What caused it.</param>
internal sealed class TransientHubException(string message, TimeSpan? retryAfter = null, Exception? inner = null) : Exception(message, inner)
{
    public TimeSpan? RetryAfter { get; } = retryAfter;
}

/// <summary>Attempts until one succeeds, with growing pauses.</summary>
/// <param name="policy">How many and how long.</param>
/// <param name="tell">Hears before each pause what happened.</param>
internal sealed class HubRetry(RetryPolicy policy, Action<string> tell)
{
    /// <param name="where">What is got, for messages.</param>
    /// <param name="attempt">One attempt; <see cref="TransientHubException"/> asks for another.</param>
    /// <param name="progress">A number that grows as attempts bring something; those count as the first again.</param>
    /// <param name="cancel">Stops the attempt or the pause.</param>
    /// <exception cref="KoalaException">All attempts failed, or the hub asks for too long a pause.</exception>
    public async Task<T> RunAsync<T>(string where, Func<Task<T>> attempt, Func<long> progress, CancellationToken cancel)
    {
        for (var failures = 1; ; failures++)
        {
            var before = progress();
            try
            {
                return await attempt();
            }
            catch (TransientHubException hiccup)
            {
                if (progress() > before) failures = 1;
                if (failures >= policy.Attempts)
                    throw new KoalaException(where, $"could not be downloaded in {failures} attempts; at the last one {hiccup.Message}",
                        "check the network and try again: the same command goes on where it stopped", hiccup);
                var pause = hiccup.RetryAfter ?? policy.FirstPause * (1 << (failures - 1));
                if (pause > policy.LongestPause)
                    throw new KoalaException(where, $"cannot be downloaded now: {hiccup.Message} and asks to wait {pause.TotalSeconds:F0} seconds",
                        "try again then: the same command goes on where it stopped", hiccup);
                tell($"{where}: {hiccup.Message}; trying again in {pause.TotalSeconds:0.#} s");
                await policy.Wait(pause, cancel);
            }
        }
    }
}
