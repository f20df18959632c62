namespace Koala.Lab.Text.Tokenizers;

/// <summary>The model of a tokenizer: it turns pieces of text into tokens. It is safe to use from many threads.</summary>
internal interface IPieceEncoder
{
    /// <summary>The ids of a piece.</summary>
    /// <param name="piece">The text of the piece, not empty.</param>
    int[] Encode(string piece);
}
