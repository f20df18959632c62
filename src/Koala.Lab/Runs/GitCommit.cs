using System.ComponentModel;
using System.Diagnostics;
using System.Reflection;

namespace Koala.Lab.Runs;

/// <summary>The commit that a working tree stands at.</summary>
/// <param name="Hash">The commit's full hash.</param>
/// <param name="Clean">Whether the working tree held nothing else: no changed and no new files.</param>
public sealed record GitCommit(string Hash, bool Clean)
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5);

    /// <summary>Of Koala's own sources: what the build of a bundle wrote down, else that of the clone it runs in; null where neither is known.</summary>
    public static GitCommit? OfKoala { get; } = BuiltFrom(typeof(GitCommit).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()) ?? Read(AppContext.BaseDirectory);

    /// <summary>The commit of the working tree around <paramref name="folder"/>; null outside one, without git, or if git does not answer in 5 seconds.</summary>
    public static GitCommit? Read(string folder)
    {
        // An optional lock would make a running `git commit` of the user's fail; fsmonitor would start a daemon.
        var start = new ProcessStartInfo("git", ["-c", "core.fsmonitor=false", "-C", folder, "status", "--porcelain=v2", "--branch"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        start.Environment["GIT_OPTIONAL_LOCKS"] = "0";
        // Set inside git's own hooks, where they would point at another repository.
        foreach (var name in (string[])["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"]) start.Environment.Remove(name);
        try
        {
            using var git = Process.Start(start)!;
            git.StandardInput.Close();
            git.ErrorDataReceived += (_, _) => { };
            git.BeginErrorReadLine();
            var output = git.StandardOutput.ReadToEndAsync();
            if (!git.WaitForExit(s_patience))
            {
                git.Kill();
                return null;
            }
            return git.ExitCode == 0 ? Parse(output.GetAwaiter().GetResult()) : null;
        }
        catch (Win32Exception)
        {
            // No git on this machine: provenance is then without a commit.
            return null;
        }
    }

    internal static GitCommit? BuiltFrom(IEnumerable<AssemblyMetadataAttribute> metadata) =>
        metadata.FirstOrDefault(m => m.Key == "BuiltFrom")?.Value is { Length: > 0 } commit ? new GitCommit(commit.TrimEnd('+'), !commit.EndsWith('+')) : null;

    internal static GitCommit? Parse(string status)
    {
        const string Commit = "# branch.oid ";
        var lines = status.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        var hash = lines.FirstOrDefault(line => line.StartsWith(Commit, StringComparison.Ordinal))?[Commit.Length..].Trim();
        // A repository without a commit answers "(initial)".
        return hash is null or "(initial)" ? null : new GitCommit(hash, lines.All(line => line.StartsWith('#')));
    }
}
