namespace Koala.Kernel.Installation;

/// <summary>The Jupyter front end of this machine.</summary>
public static class JupyterProgram
{
    private static readonly string[] s_names = ["jupyter-lab", "jupyter-notebook"];

    /// <summary>Finds JupyterLab, or Jupyter Notebook if there is no JupyterLab.</summary>
    /// <returns>The full path of the program; null if neither is on the path.</returns>
    public static string? Find()
    {
        var path = Environment.GetEnvironmentVariable("PATH") ?? "";
        var folders = path.Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries);
        string[] extensions = OperatingSystem.IsWindows() ? [".exe", ".cmd"] : [""];
        var candidates =
            from name in s_names
            from folder in folders
            from extension in extensions
            select Path.Combine(folder, name + extension);
        return candidates.FirstOrDefault(File.Exists);
    }
}
