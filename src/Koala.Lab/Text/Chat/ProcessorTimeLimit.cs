using Jint;
using Koala.Lab.Runtime.Machine;

namespace Koala.Lab.Text.Chat;

/// <summary>
/// Limits the processor time of one call of a script. Time that other threads take does not count, so a script ends in
/// the same way on a busy machine.
/// </summary>
/// <param name="limit">The longest processor time.</param>
internal sealed class ProcessorTimeLimit(TimeSpan limit) : Constraint
{
    private TimeSpan _start;

    /// <summary>The time only grows, so that checks may be rare.</summary>
    public override bool IsAmortizable => true;

    /// <exception cref="TimeoutException">The script has taken more time.</exception>
    public override void Check()
    {
        if (ThreadTime.Now() - _start > limit)
            throw new TimeoutException($"it takes more than {limit.TotalSeconds:0.#} s of processor time");
    }

    public override void Reset() => _start = ThreadTime.Now();
}
