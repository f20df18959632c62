namespace Koala.Lab.Checkpoints.Gguf;

/// <summary>A metadata value as the header lists it: numbers as their bits, strings and lists as the place where they stand.</summary>
/// <param name="Type">Its type.</param>
/// <param name="Bits">A number's bits, the rest zero.</param>
/// <param name="Element">A list's type of elements.</param>
/// <param name="Count">A list's length.</param>
/// <param name="Position">Where a string or a list's first element begins in the file.</param>
internal readonly record struct GgufValue(GgufValueType Type, ulong Bits, GgufValueType Element, long Count, long Position);
