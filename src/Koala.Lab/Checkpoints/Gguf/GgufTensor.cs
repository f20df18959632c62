namespace Koala.Lab.Checkpoints.Gguf;

/// <summary>A tensor, as a GGUF header lists it.</summary>
/// <param name="Name">Its name in the file.</param>
/// <param name="Type">The number type that it is stored in.</param>
/// <param name="Shape">The sizes of its dimensions, outermost first, which is the reverse of the order in the file.</param>
/// <param name="Offset">
/// The offset of its first byte from the start of the data; once the header is read, from the start of the file.
/// </param>
/// <param name="Bytes">Its length in the file.</param>
/// <param name="Part">The number of its file, where the model is split, from 0.</param>
internal sealed record GgufTensor(string Name, GgufType Type, long[] Shape, long Offset, long Bytes, int Part = 0);
