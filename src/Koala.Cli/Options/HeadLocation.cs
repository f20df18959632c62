using Koala.Lab;
using Koala.Lab.Checkpoints;
using Koala.Lab.Heads;
using Koala.Lab.Runs;
using Koala.Lab.Targets;

namespace Koala.Cli.Options;

/// <summary>
/// The head that <c>--head</c> names by its folder, by the folder of the run that trained it, or by its name in the hub's cache.
/// </summary>
/// <param name="Folder">The head's folder.</param>
/// <param name="Name">The name that reports use: that of the folder or of the run.</param>
internal sealed record HeadLocation(string Folder, string Name)
{
    /// <exception cref="KoalaException">There is no such folder and no such name, or the run has no head yet.</exception>
    public static HeadLocation Find(string path)
    {
        // A head that koala pull has downloaded is named as a model is: org/name.
        if (!Path.Exists(path))
        {
            var pulled = ModelLocation.Find(path);
            return new HeadLocation(pulled.Path, pulled.Name);
        }
        if (!Directory.Exists(path))
            throw new KoalaException(path, "is not a folder", "name the folder of a head, or of a run that has trained one");
        if (!RunFolder.IsRun(path)) return new HeadLocation(path, NameOf(path));
        var run = RunFolder.Open(path);
        if (Directory.Exists(run.HeadFolder)) return new HeadLocation(run.HeadFolder, NameOf(path));
        var state = run.ReadRecord().State.ToString().ToLowerInvariant();
        throw new KoalaException(path, $"this run has no head yet: it is {state}",
            $"go on with {CommandName.AsTyped} train --resume {path}");
    }

    /// <summary>Loads the head; the caller must dispose it.</summary>
    public DraftHead Load(Target target) => DraftHead.Load(Folder, target);

    /// <summary>
    /// The name of a folder; if it holds the head of a run, the name of the run. Controls of all runs have the same folder names, so a
    /// control is named after its run.
    /// </summary>
    public static string NameOf(string path)
    {
        var folder = new DirectoryInfo(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)));
        if (folder is { Name: "head", Parent: { } run } && RunFolder.IsRun(run.FullName)) folder = run;
        return folder.Parent is { } parent && IsControl(folder, parent) ? $"{parent.Name} ({folder.Name})" : folder.Name;
    }

    private static bool IsControl(DirectoryInfo folder, DirectoryInfo parent) =>
        RunFolder.IsRun(parent.FullName) && RunFolder.Open(parent.FullName).ControlFolders.Contains(folder.FullName);
}
