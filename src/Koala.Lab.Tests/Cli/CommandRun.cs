using System.Text.Json;
using Koala.Cli;

namespace Koala.Lab.Tests.Cli;

/// <summary>The command run in this process, and what came of it.</summary>
internal sealed record CommandRun(int ExitCode, string Output, string Error)
{
    public static CommandRun Of(params string[] args) => Of("", null, args, default);

    public static CommandRun WithInput(string input, params string[] args) => Of(input, null, args, default);

    /// <summary>Interrupted, as by Ctrl-C, when standard error says <paramref name="at"/>.</summary>
    public static CommandRun Interrupted(string at, params string[] args)
    {
        using var source = new CancellationTokenSource();
        return Of("", line =>
        {
            if (line.Contains(at, StringComparison.Ordinal)) source.Cancel();
        }, args, source.Token);
    }

    public string[] Lines => Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    public JsonElement Json => Parse(Output);

    public static JsonElement Parse(string json)
    {
        using var document = JsonDocument.Parse(json);
        return document.RootElement.Clone();
    }

    /// <summary>Wrong input: exit code 2, nothing on standard output, one line on standard error with these words.</summary>
    public void AssertRefused(params string[] words)
    {
        Assert.Equal(2, ExitCode);
        Assert.Equal("", Output);
        Assert.Single(Error.TrimEnd('\n').Split('\n'));
        foreach (var word in words) Assert.Contains(word, Error, StringComparison.Ordinal);
    }

    public CommandRun AssertDone()
    {
        Assert.True(ExitCode == 0, $"exit code {ExitCode}: {Error}");
        return this;
    }

    private static CommandRun Of(string input, Action<string>? onError, string[] args, CancellationToken cancel)
    {
        using var output = new StringWriter { NewLine = "\n" };
        using var error = new WatchedWriter(onError) { NewLine = "\n" };
        using var reader = new StringReader(input);
        var code = KoalaCommand.Run(args, output, error, reader, cancel);
        return new CommandRun(code, output.ToString(), error.ToString());
    }

    private sealed class WatchedWriter(Action<string>? onLine) : StringWriter
    {
        public override void WriteLine(string? value)
        {
            base.WriteLine(value);
            onLine?.Invoke(value ?? "");
        }
    }
}
