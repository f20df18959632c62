using System.Text.Json.Nodes;
using Koala.Kernel.Notebooks;
using Koala.Kernel.Tests.Notebooks;
using Koala.Lab.Charts;
using Koala.Lab.Tests.Charts;
using Microsoft.Playwright;

namespace Koala.Kernel.Tests.Browser;

/// <summary>A real browser opens the pages that <c>--html</c> writes, from disk and without a network.</summary>
public sealed class PageTests(Chromium chromium) : IClassFixture<Chromium>, IDisposable
{
    // Returns one line for each fault that the figures of the page still have.
    private const string FindFaults = """
        ink => [...document.querySelectorAll('.koala-figure')].flatMap((box, i) => {
          const plot = box.querySelector('.js-plotly-plot'), wrong = [];
          if (!plot || !plot.querySelector('.main-svg')) return [`figure ${i} is not drawn`];
          if (getComputedStyle(box.querySelector('img')).display !== 'none') wrong.push('its static picture is still there');
          const points = plot.data.some(trace => trace.x.some((x, at) => x !== null && trace.y[at] !== null));
          if (points && !plot.querySelector('.cartesianlayer .trace path')) wrong.push('has no marks');
          if (!points && !plot.querySelector('.annotation text')) wrong.push('does not say that it has no data');
          const texts = [...plot.querySelectorAll('.main-svg text')].filter(text => text.textContent);
          if (!texts.length) wrong.push('has no texts');
          const other = texts.find(text => getComputedStyle(text).fill !== ink);
          if (other) wrong.push(`'${other.textContent}' is ${getComputedStyle(other).fill}`);
          return wrong.map(fault => `figure ${i}: ${fault}`);
        })
        """;

    private const string FindScriptLinks = """
        () => [...document.querySelectorAll('[href]')].map(link => link.href)
          .filter(url => ['javascript:', 'vbscript:', 'data:'].includes(new URL(url, document.baseURI).protocol))
        """;

    private readonly TemporaryFolder _folder = new();

    [Theory]
    [InlineData(ColorScheme.Light, "rgb(27, 31, 36)")]
    [InlineData(ColorScheme.Dark, "rgb(228, 231, 235)")]
    public async Task Every_kind_of_chart_is_drawn_in_the_colours_of_the_page_and_nothing_fails(ColorScheme scheme, string ink)
    {
        var notebook = _folder.WriteNotebook("charts.ipynb", [.. Sample.All.Keys.Select(name => $"// {name}")]);
        var json = JsonNode.Parse(await File.ReadAllTextAsync(notebook))!;
        foreach (var (cell, make) in json["cells"]!.AsArray().Zip(Sample.All.Values))
        {
            var figure = make();
            cell!["outputs"]!.AsArray().Add(new JsonObject
            {
                ["output_type"] = "display_data",
                ["metadata"] = new JsonObject(),
                ["data"] = new JsonObject { [Figure.PlotlyMimeType] = JsonNode.Parse(figure.Json), ["text/html"] = figure.Html },
            });
        }
        await File.WriteAllTextAsync(notebook, json.ToJsonString());

        await OpenAndCheck(notebook, Sample.All.Count, scheme, ink);
    }

    [Theory]
    [MemberData(nameof(CourseTests.Names), MemberType = typeof(CourseTests))]
    public async Task A_notebook_of_the_course_shows_all_its_charts(string name)
    {
        var notebook = CourseTests.PathOf(name);
        // Every kind of chart is looked at in both schemes above.
        await OpenAndCheck(notebook, CourseTests.Figures(notebook), ColorScheme.Dark, "rgb(228, 231, 235)");
    }

    [Fact]
    public async Task No_script_of_a_text_or_of_a_stored_output_runs()
    {
        var notebook = JsonNode.Parse(await File.ReadAllTextAsync(_folder.WriteNotebook("hostile.ipynb", "1")))!;
        var cell = notebook["cells"]![0]!;
        foreach (var markdown in HostilePageTests.Hostile)
        {
            notebook["cells"]!.AsArray().Add(new JsonObject
            {
                ["cell_type"] = "markdown",
                ["metadata"] = new JsonObject(),
                ["source"] = markdown,
            });
            foreach (var mime in (string[])["text/html", "image/svg+xml", "text/markdown", "text/plain"])
            {
                cell["outputs"]!.AsArray().Add(new JsonObject
                {
                    ["output_type"] = "display_data",
                    ["metadata"] = new JsonObject(),
                    ["data"] = new JsonObject { [mime] = markdown },
                });
            }
        }
        var path = _folder.Write("hostile.ipynb", notebook.ToJsonString());
        Assert.Equal(Notebook.Read(path).Title, await TitleOf(trusted: false));
        // The same page runs scripts if it is trusted.
        Assert.Equal("ran", await TitleOf(trusted: true));

        async Task<string> TitleOf(bool trusted)
        {
            HtmlPage.Write(Notebook.Read(path), _folder.At("page.html"), trusted);
            var page = await chromium.NewPageAsync(ColorScheme.Light);
            await page.GotoAsync(new Uri(_folder.At("page.html")).AbsoluteUri, new() { Timeout = 120_000 });
            await Task.Delay(500);
            // The browser's own reading of the links, which is what a click would follow.
            if (!trusted) Assert.Empty(await page.EvaluateAsync<string[]>(FindScriptLinks));
            var title = await page.TitleAsync();
            await page.Context.DisposeAsync();
            return title;
        }
    }

    private async Task OpenAndCheck(string notebook, int figures, ColorScheme scheme, string ink)
    {
        HtmlPage.Write(Notebook.Read(notebook), _folder.At("page.html"), trusted: true);
        var page = await chromium.NewPageAsync(scheme);
        var errors = new List<string>();
        page.Console += (_, message) =>
        {
            if (message.Type is "error" or "warning") errors.Add(message.Text);
        };
        page.PageError += (_, message) => errors.Add(message);
        page.Dialog += (_, dialog) => errors.Add($"a foreign script ran: {dialog.Message}");
        page.Request += (_, request) =>
        {
            string[] local = ["file:", "data:", "blob:"];
            if (!local.Any(scheme => request.Url.StartsWith(scheme, StringComparison.Ordinal))) errors.Add($"asks for {request.Url}");
        };
        await page.GotoAsync(new Uri(_folder.At("page.html")).AbsoluteUri, new() { Timeout = 120_000 });

        Assert.Equal(figures, await page.Locator(".koala-figure").CountAsync());
        var faults = await page.EvaluateAsync<string[]>(FindFaults, ink);
        for (var i = 0; i < 300 && faults.Length > 0; i++)
        {
            await Task.Delay(200);
            faults = await page.EvaluateAsync<string[]>(FindFaults, ink);
        }
        Assert.Empty(faults);
        Assert.Empty(errors);
        await page.Context.DisposeAsync();
    }

    public void Dispose() => _folder.Dispose();
}
