namespace Koala.Lab.Runtime;

/// <summary>
/// Recognises that a device has run out of memory. TorchSharp has no exception type for this; it passes on libtorch's message.
/// </summary>
public static class OutOfMemory
{
    /// <summary>Whether an exception says that the memory of the machine or of the GPU is exhausted.</summary>
    /// <param name="exception">The exception.</param>
    public static bool Is(Exception exception)
    {
        ArgumentNullException.ThrowIfNull(exception);
        return exception is OutOfMemoryException
            || exception.Message.Contains("out of memory", StringComparison.OrdinalIgnoreCase)
            || exception.Message.Contains("can't allocate memory", StringComparison.Ordinal);
    }
}
