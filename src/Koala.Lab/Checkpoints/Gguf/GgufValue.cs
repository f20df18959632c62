namespace Koala.Lab.Checkpoints.Gguf;

/// <summary>A metadata value, as the header lists it: a number by its bits, a string or a list by its offset in the file.</summary>
/// <param name="Type">The type of the value.</param>
/// <param name="Bits">The bits of a number; higher bits are zero.</param>
/// <param name="Element">The type of a list's elements.</param>
/// <param name="Count">The length of a list.</param>
/// <param name="Position">The offset in the file of a string or of a list's first element.</param>
internal readonly record struct GgufValue(GgufValueType Type, ulong Bits, GgufValueType Element, long Count, long Position);
