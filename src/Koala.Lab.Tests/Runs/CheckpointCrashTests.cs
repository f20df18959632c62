using Koala.Lab.Runs;

namespace Koala.Lab.Tests.Runs;

/// <summary>Makes every file operation of a run's saves fail in each way, and checks what is on the disk then.</summary>
public sealed class CheckpointCrashTests
{
    // A first save, one that replaces a state of the same step, and ones that remove states older than the last two.
    private static readonly int[] s_saves = [1, 2, 2, 3, 4];

    public enum Fault
    {
        /// <summary>The operation fails once.</summary>
        Error,

        /// <summary>The operation and all later ones that need disk space fail.</summary>
        DiskFull,

        /// <summary>The process is killed before the operation.</summary>
        Killed,

        /// <summary>
        /// The process is killed and unsynced data are lost: unfinished files are truncated in the middle.
        /// </summary>
        PowerCut,
    }

    [Theory]
    [InlineData(Fault.Error)]
    [InlineData(Fault.DiskFull)]
    [InlineData(Fault.Killed)]
    [InlineData(Fault.PowerCut)]
    public void After_any_failure_the_newest_complete_state_is_found_and_saving_continues(Fault fault)
    {
        var operations = Count();
        Assert.True(operations > 40, $"{operations} operations");
        for (var at = 0; at < operations; at++) FailAt(at, fault);
    }

    private static int Count()
    {
        using var folder = new TemporaryFolder();
        var count = 0;
        var store = new CheckpointStore(folder.Path, _ => count++);
        for (var i = 0; i < s_saves.Length; i++) Save(store, i);
        return count;
    }

    private static void FailAt(int at, Fault fault)
    {
        using var folder = new TemporaryFolder();
        var (count, placed, failing) = (0, false, "");
        var store = new CheckpointStore(folder.Path, operation =>
        {
            var isRemoval = operation.Contains("remove", StringComparison.Ordinal) || operation == "discard";
            if (count == at) failing = operation;
            var hit = fault switch
            {
                Fault.Error => count == at,
                Fault.DiskFull => count == at || (count > at && !isRemoval),
                _ => count >= at,
            };
            count++;
            if (hit && fault == Fault.PowerCut) CutUnfinished(folder.Path);
            if (hit && (fault is Fault.Error or Fault.DiskFull)) throw new IOException("No space left on device");
            if (hit) throw new KilledException();
            if (operation == "rename") placed = true;
        });

        int? newest = null;
        for (var i = 0; i < s_saves.Length && count <= at; i++)
        {
            placed = false;
            var e = Record.Exception(() => Save(store, i));
            if (e is not null)
                Assert.IsType(fault is Fault.Error or Fault.DiskFull ? typeof(KoalaException) : typeof(KilledException),
                    e);
            if (placed) newest = i;
        }

        var where = $"{fault} at operation {at}: {failing}";
        var healthy = new CheckpointStore(folder.Path);
        AssertIs(newest, healthy.Latest(), where);

        var names = Directory.EnumerateDirectories(folder.Path).Select(Path.GetFileName).ToArray();
        healthy.Save(9, f => File.WriteAllText(Path.Combine(f, "state"), "9"));
        var left = Directory.EnumerateDirectories(folder.Path).Select(Path.GetFileName).ToArray();
        Assert.True(healthy.Latest()?.Step == 9, where);
        Assert.True(left.Length == (newest is null ? 1 : 2),
            $"{where}: {string.Join(' ', names)}, then {string.Join(' ', left)}");
    }

    private static void AssertIs(int? save, Checkpoint? found, string where)
    {
        Assert.True(found?.Step == (save is { } i ? s_saves[i] : null), $"{where}: found {found?.Folder ?? "nothing"}");
        if (found is null) return;
        Assert.True(File.ReadAllText(Path.Combine(found.Folder, "state")) == $"state of save {save}", where);
        Assert.True(File.ReadAllText(Path.Combine(found.Folder, "inner", "more")) == $"more of save {save}", where);
    }

    private static void Save(CheckpointStore store, int i) => store.Save(s_saves[i], folder =>
    {
        File.WriteAllText(Path.Combine(folder, "state"), $"state of save {i}");
        Directory.CreateDirectory(Path.Combine(folder, "inner"));
        File.WriteAllText(Path.Combine(folder, "inner", "more"), $"more of save {i}");
    });

    private static void CutUnfinished(string folder)
    {
        foreach (var unfinished in Directory.EnumerateDirectories(folder, "*.tmp"))
            foreach (var path in Directory.EnumerateFiles(unfinished, "*", SearchOption.AllDirectories))
            {
                using var file = File.OpenWrite(path);
                file.SetLength(file.Length / 2);
            }
    }

    // No handler of file errors catches this exception, as with a kill.
    private sealed class KilledException : Exception;
}
