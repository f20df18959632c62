namespace Koala.Lab.Checkpoints.Gguf;

/// <summary>A tensor as a GGUF header lists it.</summary>
/// <param name="Name">The file's name.</param>
/// <param name="Type">What it is stored in.</param>
/// <param name="Shape">Outermost first: the file's dimensions reversed.</param>
/// <param name="Offset">Its first byte, from the start of the data; in a header that was read, from the start of the file.</param>
/// <param name="Bytes">Its length in the file.</param>
internal sealed record GgufTensor(string Name, GgufType Type, long[] Shape, long Offset, long Bytes);
