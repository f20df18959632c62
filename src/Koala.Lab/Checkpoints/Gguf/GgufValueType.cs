namespace Koala.Lab.Checkpoints.Gguf;

/// <summary>The types of metadata values, with the numbers that stand for them in files.</summary>
internal enum GgufValueType : uint
{
    U8, I8, U16, I16, U32, I32, F32, Bool, Text, List, U64, I64, F64,
}
