using Koala.Lab;
using Koala.Lab.Heads;
using Koala.Lab.Runs;
using Koala.Lab.Targets;

namespace Koala.Cli.Options;

/// <summary>What <c>--head</c> names: a head's folder, or the folder of a run that has trained one.</summary>
/// <param name="Folder">The head's folder.</param>
/// <param name="Name">What reports call it: the folder's name, or the run's.</param>
internal sealed record HeadLocation(string Folder, string Name)
{
    /// <exception cref="KoalaException">There is no such folder, or the run has no head yet.</exception>
    public static HeadLocation Find(string path)
    {
        if (!Directory.Exists(path)) throw new KoalaException(path, "is no folder", "name the folder of a head, or of a run that has trained one");
        if (!RunFolder.IsRun(path)) return new HeadLocation(path, NameOf(path));
        var run = RunFolder.Open(path);
        if (!Directory.Exists(run.HeadFolder))
            throw new KoalaException(path, $"this run has no head yet: it is {run.ReadRecord().State.ToString().ToLowerInvariant()}", $"go on with {OwnName.Typed} train --resume {path}");
        return new HeadLocation(run.HeadFolder, NameOf(path));
    }

    public DraftHead Load(Target target) => DraftHead.Load(Folder, target);

    /// <summary>The name of a folder, or of the run whose head it holds.</summary>
    public static string NameOf(string path)
    {
        var folder = new DirectoryInfo(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)));
        return folder is { Name: "head", Parent: { } run } && RunFolder.IsRun(run.FullName) ? run.Name : folder.Name;
    }
}
