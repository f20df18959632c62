namespace Koala.Kernel.Jupyter;

/// <summary>The standard error of the kernel's process. In a kernel, <see cref="Console.Error"/> belongs to the cells.</summary>
internal static class StandardError
{
    private static readonly TextWriter s_writer =
        TextWriter.Synchronized(new StreamWriter(Console.OpenStandardError()) { AutoFlush = true });

    public static void WriteLine(string line) => s_writer.WriteLine($"koala kernel: {line}");
}
