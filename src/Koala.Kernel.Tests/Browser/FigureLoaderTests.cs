using Koala.Kernel.Display;
using Koala.Kernel.Installation;
using Koala.Lab.Charts;
using Koala.Lab.Training;
using Microsoft.Playwright;

namespace Koala.Kernel.Tests.Browser;

/// <summary>Figures in a page like JupyterLab's and Notebook 7's, which has its configuration in an element.</summary>
public sealed class FigureLoaderTests(Chromium chromium) : IClassFixture<Chromium>
{
    /// <summary>Without a base URL Jupyter's own scripts take the root.</summary>
    [Theory]
    [InlineData("{}", "/")]
    [InlineData("""{"baseUrl":"/"}""", "/")]
    [InlineData("""{"baseUrl":"/user/name"}""", "/user/name/")]
    public async Task Plotly_comes_once_from_below_the_base_url(string configuration, string root)
    {
        var page = await chromium.NewPageAsync(ColorScheme.Light, offline: false);
        var figure = FigureLoader.AppendTo(Chart.TrainingLosses([new StepMetrics { Step = 1, Loss = 2 }]).Html);
        var fetched = new List<string>();
        await page.RouteAsync("**/*", async route =>
        {
            var path = new Uri(route.Request.Url).AbsolutePath;
            if (!path.EndsWith(FigureLoader.FileName, StringComparison.Ordinal))
            {
                await route.FulfillAsync(new()
                {
                    ContentType = "text/html",
                    Body = $"<script id=\"jupyter-config-data\" type=\"application/json\">{configuration}</script>{figure}{figure}",
                });
                return;
            }
            fetched.Add(path);
            using var script = new MemoryStream();
            KernelSpecs.WriteFigureScript(script);
            await route.FulfillAsync(new() { ContentType = "application/gzip", BodyBytes = script.ToArray() });
        });
        await page.GotoAsync("http://jupyter.invalid/lab");
        await page.WaitForFunctionAsync(
            "() => document.querySelectorAll('.koala-figure .js-plotly-plot .main-svg:first-child').length === 2");
        Assert.Equal([$"{root}kernelspecs/{KernelSpecs.Name}/{FigureLoader.FileName}"], fetched);
        await page.Context.DisposeAsync();
    }
}
