using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Koala.Kernel.Tests.Jupyter;
using Microsoft.Playwright;

namespace Koala.Kernel.Tests.Browser;

/// <summary>
/// Jupyter Notebook with this kernel in a real browser: figures are interactive, and pictures where the notebook is not trusted.
/// </summary>
public sealed class JupyterFigureTests(Chromium chromium) : IClassFixture<Chromium>
{
    private const string Plots = ".koala-figure .js-plotly-plot .main-svg:first-child";

    [Fact]
    public async Task Figures_are_interactive_when_run_when_updated_and_when_opened_again()
    {
        using var python = Python.With("notebook");
        using var folder = new TemporaryFolder();
        var page = await chromium.NewPageAsync(ColorScheme.Light, offline: false);
        // Two figures, of which the second is replaced by a third while the cell runs.
        folder.WriteNotebook("in.ipynb", $$"""
            #r "{{TestFiles.Library}}"
            using Koala.Lab.Charts;
            using Koala.Lab.Training;
            StepMetrics Step(int i) => new() { Step = i, Loss = 1.0 / i };
            display(Chart.TrainingLosses([Step(1), Step(2)]));
            var shown = display(Chart.TrainingLosses([]));
            await Task.Delay(1500);
            shown.Update(Chart.TrainingLosses([Step(1), Step(2), Step(3)]));
            """);
        var port = FreePort();
        using var server = python.Start(folder.Path, "-m", "notebook", "--no-browser", "--allow-root", $"--port={port}", "--port-retries=0",
            "--NotebookApp.token=", "--NotebookApp.password=");
        try
        {
            var scripts = new List<string>();
            page.Response += (_, response) =>
            {
                if (response.Url.EndsWith("figures.js.gz", StringComparison.Ordinal)) scripts.Add($"{response.Status}");
            };
            await OpenAsync(page, port, "in.ipynb");
            await page.WaitForFunctionAsync("() => Jupyter.notebook.kernel && Jupyter.notebook.kernel.is_connected()");
            await page.EvaluateAsync("() => Jupyter.notebook.execute_all_cells()");
            await page.WaitForFunctionAsync($"() => document.querySelectorAll('{Plots}').length === 2 "
                + "&& [...document.querySelectorAll('.js-plotly-plot')].some(plot => plot.data[0]?.x.length === 3)");
            Assert.Equal(["200"], scripts);
            Assert.False(await page.Locator(".koala-figure img").First.IsVisibleAsync());
            await page.EvaluateAsync("() => Jupyter.notebook.save_notebook()");
            await page.WaitForFunctionAsync("() => !Jupyter.notebook.dirty");

            // plotly.js is not in the file, and the notebook that was saved is interactive when it is opened again.
            Assert.InRange(new FileInfo(folder.At("in.ipynb")).Length, 1, 60_000);
            await OpenAsync(page, port, "in.ipynb");
            await page.WaitForFunctionAsync($"() => document.querySelectorAll('{Plots}').length === 2");

            // A notebook of somebody else is not trusted: its scripts do not run, and its figures are pictures without loose words.
            var notebook = JsonNode.Parse(await File.ReadAllTextAsync(folder.At("in.ipynb")))!;
            notebook["cells"]![0]!["source"] = "// another notebook";
            folder.Write("other.ipynb", notebook.ToJsonString());
            await OpenAsync(page, port, "other.ipynb");
            await page.WaitForFunctionAsync("() => [...document.querySelectorAll('.koala-figure img')]"
                + ".filter(image => image.naturalWidth > 300 && image.getBoundingClientRect().width > 300).length === 2");
            Assert.Equal(0, await page.Locator(".js-plotly-plot").CountAsync());
            Assert.Equal("", (await page.Locator(".koala-figure").First.InnerTextAsync()).Trim());
        }
        finally
        {
            server.Kill(entireProcessTree: true);
        }
        await page.Context.DisposeAsync();
    }

    // The server may take a while to start.
    private static async Task OpenAsync(IPage page, int port, string notebook)
    {
        for (var i = 0; ; i++)
        {
            try
            {
                await page.GotoAsync($"http://127.0.0.1:{port}/notebooks/{notebook}",
                    new() { WaitUntil = WaitUntilState.DOMContentLoaded });
                break;
            }
            catch (PlaywrightException) when (i < 60)
            {
                await Task.Delay(500);
            }
        }
        await page.WaitForFunctionAsync("() => window.Jupyter && Jupyter.notebook && Jupyter.notebook._fully_loaded");
    }

    private static int FreePort()
    {
        using var socket = new TcpListener(IPAddress.Loopback, 0);
        socket.Start();
        return ((IPEndPoint)socket.LocalEndpoint).Port;
    }
}
