namespace Koala.Lab;

/// <summary>A mistake of the user or a fault of a file: one line that says where, what, and how to fix it. The command exits with 2.</summary>
public sealed class KoalaException : Exception
{
    /// <param name="where">The file (with line, tensor or key), option or value at fault.</param>
    /// <param name="fault">What was found and what was expected, without a full stop.</param>
    /// <param name="fix">What to do about it, as an imperative, without a full stop.</param>
    /// <param name="inner">What caused it, for those who debug.</param>
    public KoalaException(string where, string fault, string fix, Exception? inner = null)
        : base($"{where}: {fault}. Fix: {fix}.", inner)
    {
        Where = where;
        Fault = fault;
        Fix = fix;
    }

    /// <summary>The file (with line, tensor or key), option or value at fault.</summary>
    public string Where { get; }

    /// <summary>What was found and what was expected.</summary>
    public string Fault { get; }

    /// <summary>What to do about it.</summary>
    public string Fix { get; }
}
