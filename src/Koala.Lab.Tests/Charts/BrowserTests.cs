using System.Diagnostics;
using System.Text.RegularExpressions;
using Koala.Lab.Charts;

namespace Koala.Lab.Tests.Charts;

/// <summary>A real browser opens a page from disk, with no network.</summary>
public sealed partial class BrowserTests
{
    private static readonly string? s_browser = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
        .SelectMany(folder => new[] { "chromium", "chromium-browser", "google-chrome" }.Select(name => Path.Combine(folder, name))).FirstOrDefault(File.Exists);

    [Theory, InlineData("#ffffff", "rgb(31, 35, 40)"), InlineData("#1e1e1e", "rgb(230, 237, 243)")]
    public void Every_chart_is_drawn_in_the_colours_of_the_page_and_nothing_fails(string background, string ink)
    {
        Assert.SkipWhen(s_browser is null, "there is no Chromium on the path");
        using var folder = new TemporaryFolder();
        var figures = Sample.All.Values.Select(make => make().Html).ToArray();
        File.WriteAllText(folder.At("page.html"), $$"""
            <!DOCTYPE html><html><head><meta charset="utf-8"><title>figures</title><style>body { background: {{background}}; color: {{ink}} }</style>
            <script>window.faults = []; window.onerror = message => faults.push(message); console.error = console.warn = message => faults.push(String(message));
            window.alert = () => faults.push('a script of a stranger ran');</script><script>{{PlotlyScript.Text}}</script></head>
            <body>{{string.Concat(figures)}}<pre id="faults">not loaded</pre>
            <script>window.addEventListener('load', () => setTimeout(() => document.getElementById('faults').textContent = 'faults: ' + faults.join('; ') + '.', 3000))</script></body></html>
            """);

        var (dom, log) = Open(folder.At("page.html"), folder.At("profile"));
        Assert.Contains("<pre id=\"faults\">faults: .</pre>", dom, StringComparison.Ordinal);
        Assert.DoesNotContain("CONSOLE", log, StringComparison.Ordinal);
        Assert.Equal(figures.Length, Plot().Count(dom));
        Assert.Equal(figures.Length, Hidden().Count(dom));
        // Titles, ticks, legends: all texts have the page's own colour.
        var texts = Text().Matches(dom).Select(m => m.Groups[1].Value).ToArray();
        Assert.True(texts.Length > 8 * figures.Length);
        Assert.All(texts, colour => Assert.Equal(ink, colour));
    }

    private static (string Dom, string Log) Open(string page, string profile)
    {
        var start = new ProcessStartInfo(s_browser!,
            ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND", $"--user-data-dir={profile}", "--enable-logging=stderr", "--log-level=0", "--virtual-time-budget=10000", "--dump-dom", new Uri(page).AbsoluteUri])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        var log = process.StandardError.ReadToEndAsync();
        var dom = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (dom, log.Result);
    }

    [GeneratedRegex("<text [^>]*[^-]fill: (rgb[^;]*)")]
    private static partial Regex Text();

    [GeneratedRegex("class=\"[^\"]*js-plotly-plot[^\"]*\"")]
    private static partial Regex Plot();

    [GeneratedRegex("<svg [^>]*display: ?none[^>]*aria-label=")]
    private static partial Regex Hidden();
}
