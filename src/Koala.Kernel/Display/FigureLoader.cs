using Koala.Kernel.Installation;

namespace Koala.Kernel.Display;

/// <summary>Makes figures interactive in Jupyter, which has no plotly of its own.</summary>
/// <remarks>
/// Jupyter serves the files of a kernel's folder, and <see cref="KernelSpecs"/> puts plotly.js there. A few hundred characters after each
/// figure fetch it once per page, so neither the messages nor the saved notebook hold it. Where Jupyter does not trust a notebook, or
/// where there is no Jupyter, they do nothing, and the figure's picture stays.
/// </remarks>
internal static class FigureLoader
{
    /// <summary>The name of the script in the kernel's folder.</summary>
    public const string FileName = "figures.js.gz";

    private const string Figure = "class=\"koala-figure\"";

    // A page of JupyterLab without a base URL is at the root, as Jupyter's own scripts take it.
    // draw.js sets koalaFigures too. The script must not find the module loaders of the page, to which plotly.js would give itself.
    private const string Script = "<script>(function(w,d){if(w.koalaFigures)return;"
        + "var c=d.getElementById('jupyter-config-data'),b=c?JSON.parse(c.textContent).baseUrl||'/':d.body.dataset.baseUrl;"
        + "if(!b)return;w.koalaFigures=true;"
        + $"fetch(b.replace(/\\/?$/,'/')+'kernelspecs/{KernelSpecs.Name}/{FileName}').then(function(r)"
        + "{if(!r.ok)throw new Error(r.status);return new Response(r.body.pipeThrough(new DecompressionStream('gzip'))).text()})"
        + ".then(function(t){new Function('define','module','exports',t).call(w)})"
        + ".catch(function(e){w.koalaFigures=false;console.info('Koala: figures stay pictures: '+e)})})(window,document)</script>";

    /// <summary>Appends the loader to HTML that has a figure.</summary>
    public static string AppendTo(string html) => html.Contains(Figure, StringComparison.Ordinal) ? html + Script : html;
}
