using System.Globalization;
using System.Net;
using System.Text;
using System.Text.RegularExpressions;
using Koala.Kernel.Display;
using Koala.Kernel.Packages;
using Koala.Kernel.Scripting;

namespace Koala.Kernel;

/// <summary>
/// Runs the <c>#!</c> directives, and <c>#r "nuget:…"</c> and <c>#i</c>, which the compiler does not know.
/// </summary>
internal sealed partial class Directives(Engine engine, CSharpSession session, CommandCells commands, ValueCells values)
{
    /// <summary>
    /// The names of all directives, which completion and the message about an unknown directive list.
    /// </summary>
    public static readonly string[] Names =
        ["csharp", "markdown", "html", "javascript", "js", "time", "who", "whos", "import", "value", "share", "koala"];

    private static readonly CSharpOutcome s_nothing = new(false, null, null);

    private readonly PackageSession _packages = new();

    public async Task<CSharpOutcome> RunAsync(CellPart part, int number, CellOutput output, CancellationToken cancel)
    {
        switch (part.Directive)
        {
            case "csharp" or "c#" or "C#":
                return part.IsEmpty ? s_nothing : await CSharpAsync(part.Text, number, output, cancel);
            case "markdown":
                Displays.Content("text/markdown", Content(part));
                return s_nothing;
            case "html":
                Displays.Content(MimeBundle.Html, Content(part));
                return s_nothing;
            case "javascript" or "js":
                Microsoft.DotNet.Interactive.Kernel.Javascript(Content(part));
                return s_nothing;
            case "time":
                return await TimeAsync(part, number, output, cancel);
            case "who":
                output.Write("stdout", string.Join("  ", session.Variables.Select(v => v.Name)) + "\n");
                return await CSharpAsync(part.Text, number, output, cancel);
            case "whos":
                ShowVariables(output);
                return await CSharpAsync(part.Text, number, output, cancel);
            case "import":
                await ImportAsync(part.Argument, number, output, cancel);
                return await CSharpAsync(part.Text, number, output, cancel);
            case "value":
                return await values.ValueAsync(part.Argument, Content(part), number, cancel);
            case "share":
                return await values.ShareAsync(part.Argument, number, cancel) is { Error: not null } failed
                    ? failed
                    : await CSharpAsync(part.Text, number, output, cancel);
            case "koala":
                return await CommandAsync(part, number, output, cancel);
            case var name when CellLanguage.OfDirective(name) is { } language:
                CellLanguage.Check(language);
                return s_nothing;
            default:
                throw Fault.Create($"#!{part.Directive}", "is not a directive of this kernel",
                    $"use one of {string.Join(", ", Names.Select(name => $"#!{name}"))}");
        }
    }

    private static string Content(CellPart part) => part.Text.Trim('\n');

    private async Task<CSharpOutcome> CSharpAsync(string code, int number, CellOutput output, CancellationToken cancel)
    {
        if (string.IsNullOrWhiteSpace(code)) return s_nothing;
        return await session.RunAsync(await PackagesAsync(code, output, cancel), number, cancel);
    }

    private async Task<CSharpOutcome> TimeAsync(CellPart part, int number, CellOutput output, CancellationToken cancel)
    {
        var start = TimeProvider.System.GetTimestamp();
        var outcome = await CSharpAsync(part.Text, number, output, cancel);
        var milliseconds = TimeProvider.System.GetElapsedTime(start).TotalMilliseconds;
        output.Write("stdout", string.Create(CultureInfo.InvariantCulture, $"Wall time: {milliseconds:F1} ms\n"));
        return outcome;
    }

    // What follows the command in its part of the cell is C#, whose value is then that of the part.
    private async Task<CSharpOutcome> CommandAsync(CellPart part, int number, CellOutput output, CancellationToken cancel)
    {
        var outcome = await commands.RunAsync(part.Argument, number, cancel);
        if (outcome.Error is not null || part.IsEmpty) return outcome;
        if (outcome.HasValue) Displays.Value(outcome.Value, []);
        return await CSharpAsync(part.Text, number, output, cancel);
    }

    private void ShowVariables(CellOutput output)
    {
        var rows = session.Variables.Select(v => (v.Name, Type: v.Type.ToString(), Value: Short(v.Value))).ToArray();
        var html = new StringBuilder("<table><thead><tr><th>Variable</th><th>Type</th><th>Value</th></tr></thead><tbody>");
        foreach (var row in rows)
            html.Append($"<tr><td>{Encode(row.Name)}</td><td>{Encode(row.Type)}</td><td>{Encode(row.Value)}</td></tr>");
        html.Append("</tbody></table>");
        output.Display(new System.Text.Json.Nodes.JsonObject
        {
            [MimeBundle.Html] = html.ToString(),
            [MimeBundle.PlainText] = string.Join('\n', rows.Select(row => $"{row.Name}  {row.Type}  {row.Value}")),
        }, Guid.NewGuid().ToString("N"));

        static string Encode(string text) => WebUtility.HtmlEncode(text);

        static string Short(object? value)
        {
            var text = value?.ToString()?.ReplaceLineEndings(" ") ?? "null";
            return text.Length <= 80 ? text : text[..79] + "…";
        }
    }

    private async Task ImportAsync(string path, int number, CellOutput output, CancellationToken cancel)
    {
        foreach (var cell in ImportedFile.Read(path.Trim('"')))
        {
            if (await engine.RunPartsAsync(cell.Code, number, cell.Language, output, cancel) is not { } error) continue;
            if (!cell.MayRaise) throw Fault.Create(path, $"failed ({error.Message})", "correct the file");
            output.Error(error);
        }
    }

    /// <summary>Restores the packages that the code requests, and returns the code with those lines emptied.</summary>
    private async Task<string> PackagesAsync(string code, CellOutput output, CancellationToken cancel)
    {
        if (!code.Contains("nuget:", StringComparison.Ordinal)) return code;
        foreach (Match match in SourceLine().Matches(code)) _packages.AddSource(match.Groups[1].Value.Trim());
        var requested = PackageLine().Matches(code).Select(Requested).ToArray();
        if (requested.Length > 0)
        {
            var restored = await _packages.AddAsync(requested, cancel);
            foreach (var file in restored.RuntimeFiles)
            {
                session.Loading.CheckPackage(file);
                session.References.Add(file);
            }
            foreach (var folder in restored.NativeFolders) session.Loading.AddNativeFolder(folder);
            session.AddReferences(restored.CompileFiles);
            output.Write("stdout", $"Installed {string.Join(", ", restored.Added.Select(p => $"{p.Name} {p.Version}"))}\n");
            foreach (var script in restored.Extensions) await RunExtensionAsync(script, output, cancel);
        }
        return PackageLine().Replace(SourceLine().Replace(code, ""), "");

        static PackageReference Requested(Match line) =>
            new(line.Groups[1].Value.Trim(), line.Groups[2].Success ? line.Groups[2].Value.Trim() : "*");
    }

    private async Task RunExtensionAsync(string script, CellOutput output, CancellationToken cancel)
    {
        foreach (var cell in ImportedFile.Read(script))
        {
            if (await engine.RunPartsAsync(cell.Code, 0, cell.Language, output, cancel) is { } error)
                output.Write("stderr", $"{script}: {error.Message}\n");
        }
    }

    [GeneratedRegex("""^[ \t]*#r[ \t]+"nuget:([^",\n]+)(?:,([^"\n]+))?"[ \t]*;?[ \t]*$""", RegexOptions.Multiline)]
    private static partial Regex PackageLine();

    [GeneratedRegex("""^[ \t]*#i[ \t]+"(?:nuget:)([^"\n]+)"[ \t]*;?[ \t]*$""", RegexOptions.Multiline)]
    private static partial Regex SourceLine();
}
