using Koala.Kernel.Notebooks;
using Koala.Lab.Charts.Pages;
using Koala.Lab.Evaluation;
using Microsoft.Playwright;

namespace Koala.Kernel.Tests.Browser;

/// <summary>The layout that reports and notebooks share, in a real browser.</summary>
public sealed class LayoutTests(Chromium chromium) : IClassFixture<Chromium>, IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Fact]
    public async Task On_a_phone_nothing_is_wider_than_the_page()
    {
        var page = await Open(ResultPage.OfReport(Report()).ToHtml(), ColorScheme.Dark, width: 390);
        // What scrolls by itself may be wider than the page; the page itself may not.
        Assert.True(await page.EvaluateAsync<bool>("document.documentElement.scrollWidth <= 390"));
        Assert.Empty(await page.EvaluateAsync<string[]>("""
            () => [...document.querySelectorAll('table.rows td, .headline div')].filter(part => part.getBoundingClientRect().right > 391)
              .map(part => part.textContent)
            """));
        Assert.Equal("block", await page.EvaluateAsync<string>("getComputedStyle(document.querySelector('table.rows tr')).display"));
        await page.Context.DisposeAsync();
    }

    [Fact]
    public async Task Text_code_charts_and_tables_have_one_width_and_the_contents_stand_beside_them()
    {
        var page = await Open(ResultPage.OfReport(Report()).ToHtml(), ColorScheme.Light, width: 1500);
        var widths = await page.EvaluateAsync<double[]>(
            "() => [...document.querySelectorAll('.koala-figure, .scroll, section, .headline')].map(part => Math.round(part.clientWidth))");
        Assert.Single(widths.Distinct());
        Assert.True(await page.EvaluateAsync<bool>("document.querySelector('nav details').open"));
        Assert.True(await page.EvaluateAsync<bool>(
            "document.querySelector('nav').getBoundingClientRect().left > document.querySelector('main').getBoundingClientRect().right"));
        await page.Context.DisposeAsync();
    }

    [Fact]
    public async Task A_click_on_a_heading_sorts_by_its_numbers()
    {
        var page = await Open(ResultPage.OfReport(Report()).ToHtml(), ColorScheme.Light, width: 1200);
        var heading = page.Locator("#categories ~ .scroll th", new() { HasTextString = "acceptance length" });
        double[] Expected(bool ascending) => [.. Report().ByCategory.Select(c => Math.Round(c.AcceptanceLength.Mean, 2))
            .OrderBy(value => ascending ? value : -value)];
        async Task<double[]> Shown() => await page.EvaluateAsync<double[]>(
            "() => [...document.querySelectorAll('#categories ~ .scroll td:nth-child(3)')].map(cell => Number(cell.textContent))");
        await heading.ClickAsync();
        Assert.Equal(Expected(ascending: true), await Shown());
        await heading.PressAsync("Enter");
        Assert.Equal(Expected(ascending: false), await Shown());
        Assert.Equal("descending", await heading.GetAttributeAsync("aria-sort"));
        await page.Context.DisposeAsync();
    }

    [Fact]
    public async Task A_notebook_has_its_title_once_its_contents_and_folded_code()
    {
        var path = _folder.Write("n.ipynb", """
            {"nbformat":4,"nbformat_minor":5,"metadata":{},"cells":[
              {"id":"a","cell_type":"markdown","metadata":{},"source":"# The *title*\n\nText.\n\n## One & only"},
              {"id":"b","cell_type":"code","metadata":{},"source":"// what it does\nvar x = 1;","outputs":[],"execution_count":null},
              {"id":"c","cell_type":"markdown","metadata":{},"source":"# Another\n\n## Two"}]}
            """);
        var page = await Open(HtmlPage.Text(Notebook.Read(path), trusted: false), ColorScheme.Light, width: 1200);
        Assert.Equal(["The title", "Another"], await page.Locator("h1").AllTextContentsAsync());
        Assert.Equal(["One & only", "Two"], await page.Locator("nav a").AllTextContentsAsync());
        Assert.True(await page.EvaluateAsync<bool>(
            "() => [...document.querySelectorAll('nav a')].every(link => document.getElementById(link.hash.slice(1)))"));
        var code = page.Locator("pre.source");
        Assert.False(await code.IsVisibleAsync());
        await page.Locator("button.code").ClickAsync();
        Assert.True(await code.IsVisibleAsync());
        Assert.Matches("^Koala, commit .* UTC$", await page.Locator("footer").TextContentAsync());
        await page.Context.DisposeAsync();
    }

    public void Dispose() => _folder.Dispose();

    private static EvaluationReport Report() => ReportFiles.Load(TestFiles.At("docs", "results", "heads", "mt-bench-eagle-k2.json"));

    private async Task<IPage> Open(string html, ColorScheme scheme, int width)
    {
        var page = await chromium.NewPageAsync(scheme);
        await page.SetViewportSizeAsync(width, 900);
        await page.GotoAsync(new Uri(_folder.Write("page.html", html)).AbsoluteUri, new() { Timeout = 120_000 });
        return page;
    }
}
