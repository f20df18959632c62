using Koala.Cli.Output;
using Koala.Lab.Decoding.Cost;
using Spectre.Console;

namespace Koala.Cli;

/// <summary>
/// The streams of a command: it writes results to <see cref="Output"/> and everything else to <see cref="Error"/>.
/// </summary>
/// <param name="Output">Standard output.</param>
/// <param name="Error">Standard error.</param>
/// <param name="Input">Standard input.</param>
/// <param name="Cancel">Interrupts long work, as Ctrl-C does.</param>
internal sealed record Streams(TextWriter Output, TextWriter Error, TextReader Input, CancellationToken Cancel)
{
    /// <summary>How much other work measurements tolerate. Tests run beside other work and tolerate all.</summary>
    public DisturbanceLimits Limits { get; init; } = new();

    /// <summary>How long answers are shown that come too fast for the eye. Tests do not wait.</summary>
    public TimeSpan Shown { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>The terminal behind a stream, with the width and the colours that it has. Tests bring their own.</summary>
    public Func<TextWriter, IAnsiConsole> ConsoleOf { get; init; } =
        writer => AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(writer) });

    /// <summary>The cell of a notebook that runs the command; null on a command line.</summary>
    public NotebookCell? Cell { get; init; }

    /// <summary>
    /// Writes the result of a command as text or as JSON. In a notebook the result is the value of the cell, which shows it in place of
    /// the text.
    /// </summary>
    public void WriteResult(object result, bool json)
    {
        Cell?.SetValue(result, isPrinted: json);
        if (json) Output.WriteLine(JsonOutput.Document(result));
        else if (Cell is null) Output.WriteLine(result.ToString()!.TrimEnd());
    }

    /// <summary>Reads a prompt from standard input and drops the line break that <c>echo</c> adds at the end.</summary>
    public string ReadPrompt()
    {
        var text = Input.ReadToEnd();
        return text.EndsWith('\n') ? text[..^1].TrimEnd('\r') : text;
    }
}
