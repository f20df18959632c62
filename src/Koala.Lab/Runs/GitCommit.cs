using System.ComponentModel;
using System.Diagnostics;
using System.Reflection;

namespace Koala.Lab.Runs;

/// <summary>The commit that is checked out in a working tree.</summary>
/// <param name="Hash">The commit's full hash.</param>
/// <param name="Clean">Whether the working tree has no changed and no new files.</param>
public sealed record GitCommit(string Hash, bool Clean)
{
    private static readonly TimeSpan s_timeout = TimeSpan.FromSeconds(5);

    /// <summary>
    /// The commit of Koala's own sources: the one that the build of a bundle recorded, else that of the clone that Koala runs in; null
    /// if neither is known.
    /// </summary>
    public static GitCommit? OfKoala { get; } =
        BuiltFrom(typeof(GitCommit).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()) ?? Read(AppContext.BaseDirectory);

    /// <summary>
    /// Reads the commit of the working tree that contains <paramref name="folder"/>; null if there is no working tree or no git, or if
    /// git does not answer within 5 seconds.
    /// </summary>
    public static GitCommit? Read(string folder)
    {
        // An optional lock would make a `git commit` that the user is running fail; fsmonitor would start a daemon.
        var start = new ProcessStartInfo("git", ["-c", "core.fsmonitor=false", "-C", folder, "status", "--porcelain=v2", "--branch"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        start.Environment["GIT_OPTIONAL_LOCKS"] = "0";
        // git sets these variables inside its hooks, where they would point to another repository.
        foreach (var name in (string[])["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"]) start.Environment.Remove(name);
        try
        {
            using var git = Process.Start(start)!;
            git.StandardInput.Close();
            git.ErrorDataReceived += (_, _) => { };
            git.BeginErrorReadLine();
            var output = git.StandardOutput.ReadToEndAsync();
            if (!git.WaitForExit(s_timeout))
            {
                git.Kill();
                return null;
            }
            return git.ExitCode == 0 ? Parse(output.GetAwaiter().GetResult()) : null;
        }
        catch (Win32Exception)
        {
            // There is no git on this machine, so provenance has no commit.
            return null;
        }
    }

    internal static GitCommit? BuiltFrom(IEnumerable<AssemblyMetadataAttribute> metadata) =>
        metadata.FirstOrDefault(m => m.Key == "BuiltFrom")?.Value is { Length: > 0 } commit
            ? new GitCommit(commit.TrimEnd('+'), !commit.EndsWith('+'))
            : null;

    internal static GitCommit? Parse(string status)
    {
        const string Commit = "# branch.oid ";
        var lines = status.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        var hash = lines.FirstOrDefault(line => line.StartsWith(Commit, StringComparison.Ordinal))?[Commit.Length..].Trim();
        // In a repository without commits git prints "(initial)".
        return hash is null or "(initial)" ? null : new GitCommit(hash, lines.All(line => line.StartsWith('#')));
    }
}
