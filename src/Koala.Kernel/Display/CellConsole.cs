using System.Text;

namespace Koala.Kernel.Display;

/// <summary>
/// Connects <see cref="Console"/> to the cells: printed text goes to the cell's output, and reading asks the front end
/// for a line.
/// </summary>
internal static class CellConsole
{
    /// <summary>Replaces the console of the process.</summary>
    public static void Install()
    {
        Console.SetOut(new Writer("stdout"));
        Console.SetError(new Writer("stderr"));
        Console.SetIn(new Reader());
    }

    /// <summary>A writer whose text goes to the cell of the code that writes, as <c>stdout</c> or <c>stderr</c>.</summary>
    public static TextWriter CreateWriter(string stream) => new Writer(stream);

    private sealed class Writer(string stream) : TextWriter
    {
        public override Encoding Encoding => Encoding.UTF8;

        public override void Write(char value) => CellContext.Current?.Output.Write(stream, [value]);

        public override void Write(string? value) => CellContext.Current?.Output.Write(stream, value);

        public override void Write(char[] buffer, int index, int count) =>
            CellContext.Current?.Output.Write(stream, buffer.AsSpan(index, count));

        public override void Write(ReadOnlySpan<char> buffer) => CellContext.Current?.Output.Write(stream, buffer);

        // A line and its line feed are one write, so that the lines of two threads do not mix.
        public override void WriteLine(string? value) => Write(value + "\n");

        public override void WriteLine() => Write('\n');

        public override void WriteLine(ReadOnlySpan<char> buffer) => Write(string.Concat(buffer, "\n"));

        public override void Flush() => CellContext.Current?.Output.Flush();
    }

    private sealed class Reader : TextReader
    {
        public override string? ReadLine() => CellContext.Current?.Read is { } read
            ? read("", false)
            : throw new InvalidOperationException(
                "This front end cannot ask for input: set the value in the cell, or pass it as a parameter.");

        public override int Read() =>
            throw new InvalidOperationException("A notebook can only read entire lines: use Console.ReadLine().");

        public override string ReadToEnd() => ReadLine() ?? "";
    }
}
