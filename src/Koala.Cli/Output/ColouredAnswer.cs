using Koala.Lab.Decoding;
using Koala.Lab.Text.Tokenizers;
using Spectre.Console;

namespace Koala.Cli.Output;

/// <summary>Writes an answer as it streams, each token in the colour of its origin.</summary>
/// <param name="console">The terminal.</param>
/// <param name="tokenizer">The target's tokenizer.</param>
internal sealed class ColouredAnswer(IAnsiConsole console, Tokenizer tokenizer)
{
    private readonly AnswerPieces _pieces = new(tokenizer);

    public void Write(GenerationChunk chunk)
    {
        foreach (var piece in _pieces.Append(chunk).Where(piece => !piece.Special))
            console.Write(new Text(piece.Text, TokenStyle.Of(piece.Origin)));
    }
}
