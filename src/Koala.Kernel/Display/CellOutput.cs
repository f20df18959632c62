using System.Text;
using System.Text.Json.Nodes;

namespace Koala.Kernel.Display;

/// <summary>
/// The output of one cell, as Jupyter messages. Printed text is collected for a moment; the order of all output is
/// kept.
/// </summary>
/// <param name="send">
/// Sends a message of a type and content. It is called from any thread, but never by two at the same time.
/// </param>
internal sealed class CellOutput(Action<string, JsonObject> send) : IDisposable
{
    // Text is sent in chunks, so that a front end can handle them and a cell that prints without end does not fill the
    // memory.
    private const int ChunkCharacters = 256 * 1024;

    private readonly Lock _lock = new();
    private readonly StringBuilder _text = new();
    private string _stream = "stdout";

    /// <summary>Prints to <c>stdout</c> or <c>stderr</c>.</summary>
    public void Write(string stream, ReadOnlySpan<char> text)
    {
        if (text.IsEmpty) return;
        lock (_lock)
        {
            if (stream != _stream) FlushText();
            _stream = stream;
            _text.Append(text);
            if (_text.Length >= ChunkCharacters) FlushText();
            else if (_text.Length == text.Length) OutputClock.FlushSoon(this);
        }
    }

    /// <summary>
    /// Shows a bundle of MIME types, which <see cref="Update"/> can replace by its <paramref name="displayId"/>.
    /// </summary>
    public void Display(JsonObject data, string displayId) => Send("display_data", new JsonObject
    {
        ["data"] = data,
        ["metadata"] = new JsonObject(),
        ["transient"] = new JsonObject { ["display_id"] = displayId },
    });

    public void Update(JsonObject data, string displayId) => Send("update_display_data", new JsonObject
    {
        ["data"] = data,
        ["metadata"] = new JsonObject(),
        ["transient"] = new JsonObject { ["display_id"] = displayId },
    });

    public void Result(JsonObject data, int executionCount) => Send("execute_result", new JsonObject
    {
        ["execution_count"] = executionCount,
        ["data"] = data,
        ["metadata"] = new JsonObject(),
    });

    public void Error(CellError error) => Send("error", error.ToJson());

    /// <summary>
    /// Removes the output that the cell has shown; with <paramref name="wait"/>, only when the next output comes.
    /// </summary>
    public void Clear(bool wait) => Send("clear_output", new JsonObject { ["wait"] = wait });

    /// <summary>Sends the text collected so far.</summary>
    public void Flush()
    {
        lock (_lock) FlushText();
    }

    public void Dispose() => Flush();

    private void Send(string type, JsonObject content)
    {
        lock (_lock)
        {
            FlushText();
            send(type, content);
        }
    }

    private void FlushText()
    {
        if (_text.Length == 0) return;
        var text = _text.ToString();
        _text.Clear();
        send("stream", new JsonObject { ["name"] = _stream, ["text"] = text });
    }
}
