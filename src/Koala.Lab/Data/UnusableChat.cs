namespace Koala.Lab.Data;

/// <summary>A chat of a file that cannot be used.</summary>
/// <param name="Line">The number of its line, counted from 1.</param>
/// <param name="Fault">What is wrong with it.</param>
internal sealed record UnusableChat(int Line, KoalaException Fault);
