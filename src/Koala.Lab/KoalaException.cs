using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Koala.Lab;

/// <summary>
/// A mistake of the user or a fault of a file. The message is one line: where the fault is, what it is, and how to fix it. The
/// command exits with 2.
/// </summary>
/// <remarks>
/// A message names an option by an <see cref="OptionName"/>, so that every reader sees a name that can be typed.
/// <see cref="Exception.Message"/> has the C# name, <c>maxTokens</c>; <see cref="MessageWith"/> has the name that a front end gives
/// the option.
/// </remarks>
public sealed class KoalaException : Exception
{
    private readonly MessageTemplate _where;
    private readonly MessageTemplate _fault;
    private readonly MessageTemplate _fix;

    /// <param name="where">The file (with line, tensor or key), option or value at fault.</param>
    /// <param name="fault">What was found and what was expected, without a full stop.</param>
    /// <param name="fix">What the user should do about it, in the imperative, without a full stop.</param>
    /// <param name="inner">The exception that caused it, for debugging.</param>
    public KoalaException(MessageTemplate where, MessageTemplate fault, MessageTemplate fix, Exception? inner = null)
        : base(Line(where, fault, fix).ToString(), inner)
    {
        _where = where;
        _fault = fault;
        _fix = fix;
    }

    /// <summary>The file (with line, tensor or key), option or value at fault.</summary>
    public string Where => _where.ToString();

    /// <summary>What was found and what was expected.</summary>
    public string Fault => _fault.ToString();

    /// <summary>What the user should do about it.</summary>
    public string Fix => _fix.ToString();

    /// <summary>The C# name of the option at fault: <c>MaxTokens</c>, <c>Adversary.Weight</c>. Null if no option is at fault.</summary>
    public string? Option => _where.Options.FirstOrDefault();

    /// <summary>Creates the exception for a value that an option cannot have.</summary>
    /// <param name="option">The C# name of the option, as <see cref="OptionName"/> takes it.</param>
    /// <param name="fault">What was found and what was expected, without a full stop.</param>
    /// <param name="fix">What the user should do about it, in the imperative, without a full stop.</param>
    public static KoalaException ForOption(string option, MessageTemplate fault, MessageTemplate fix) =>
        new($"{new OptionName(option)}", fault, fix);

    /// <exception cref="KoalaException">The argument is null.</exception>
    internal static void ThrowIfNull([NotNull] object? argument, [CallerArgumentExpression(nameof(argument))] string name = "")
    {
        if (argument is null) throw new KoalaException(name, "is null, but a value is needed", "pass one");
    }

    /// <param name="disposed">Whether the object is disposed.</param>
    /// <param name="what">What it is, with its article.</param>
    /// <exception cref="KoalaException">The object is disposed.</exception>
    internal static void ThrowIfDisposed([DoesNotReturnIf(true)] bool disposed, string what)
    {
        if (disposed) throw new KoalaException(what, "is disposed", "create another one, or dispose it after its last use");
    }

    /// <summary>Returns the message, with options under the names of a front end.</summary>
    /// <param name="nameOf">
    /// Maps the C# name of an option to the front end's name. It returns null if the front end has no such option; the message then
    /// has the C# name.
    /// </param>
    public string MessageWith(Func<string, string?> nameOf) => Line(_where, _fault, _fix).ToString(nameOf);

    /// <summary>Returns the same fault with a more exact location.</summary>
    /// <param name="container">What contains <see cref="Where"/>: a file, a line.</param>
    /// <param name="inner">The exception that caused it.</param>
    internal KoalaException Within(string container, Exception inner) => new($"{container}: {_where}", _fault, _fix, inner);

    private static MessageTemplate Line(MessageTemplate where, MessageTemplate fault, MessageTemplate fix) =>
        $"{where}: {fault}. Fix: {fix}.";
}
