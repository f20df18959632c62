namespace Koala.Cli;

/// <summary>What a command reads and writes: results to <see cref="Output"/>, everything else to <see cref="Error"/>.</summary>
/// <param name="Output">Standard output.</param>
/// <param name="Error">Standard error.</param>
/// <param name="Input">Standard input.</param>
/// <param name="Cancel">Stops long work as Ctrl-C does.</param>
internal sealed record Streams(TextWriter Output, TextWriter Error, TextReader Input, CancellationToken Cancel)
{
    /// <summary>All of standard input, without the line feed that <c>echo</c> puts at its end.</summary>
    public string ReadInput()
    {
        var text = Input.ReadToEnd();
        return text.EndsWith('\n') ? text[..^1].TrimEnd('\r') : text;
    }
}
