namespace Koala.Kernel.Installation;

/// <summary>The Jupyter front end of this machine.</summary>
public static class JupyterProgram
{
    private static readonly string[] s_names = ["jupyter-lab", "jupyter-notebook"];

    /// <summary>The full path of JupyterLab, else of Jupyter Notebook; null: neither is on the path.</summary>
    public static string? Find()
    {
        var folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries);
        string[] endings = OperatingSystem.IsWindows() ? [".exe", ".cmd"] : [""];
        return s_names.SelectMany(name => folders.SelectMany(folder => endings.Select(ending => Path.Combine(folder, name + ending)))).FirstOrDefault(File.Exists);
    }
}
