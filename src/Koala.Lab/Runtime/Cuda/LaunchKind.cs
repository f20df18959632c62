namespace Koala.Lab.Runtime.Cuda;

/// <summary>How a launch stands to other work; the numbers are those of the driver's launch attributes.</summary>
internal enum LaunchKind
{
    /// <summary>It begins when the launch before it has ended.</summary>
    Ordinary = 0,

    /// <summary>Its blocks run at the same time, so that they can wait for each other.</summary>
    Cooperative = 2,

    /// <summary>It may begin while the launch before it still runs, and waits for it in the kernel (since architecture 9.0).</summary>
    Overlapping = 6,
}
