using Koala.Lab.Runs;

namespace Koala.Lab.Tests.Runs;

public sealed class RunFolderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Refuses_a_run_that_exists_and_says_how_to_resume_it()
    {
        SampleRun.Create(_folder.At("run"));
        var e = Assert.Throws<KoalaException>(() => RunFolder.Create(_folder.At("run")));
        Assert.Contains("resume " + _folder.At("run"), e.Fix, StringComparison.Ordinal);
    }

    [Fact]
    public void Refuses_a_folder_and_a_file_that_exist()
    {
        Directory.CreateDirectory(_folder.At("full", "inner"));
        File.WriteAllText(_folder.At("file"), "");
        Assert.Throws<KoalaException>(() => RunFolder.Create(_folder.At("full")));
        Assert.Throws<KoalaException>(() => RunFolder.Create(_folder.At("file")));
        Assert.Throws<KoalaException>(() => RunFolder.Create(_folder.At("file", "below")));
        Assert.Throws<KoalaException>(() => RunFolder.Create(" "));
    }

    [Theory]
    [InlineData]
    [InlineData("lock")]
    [InlineData("lock", "lock.json")]
    [InlineData("lock", "lock.json", "lock.json.12-1.tmp", "run.json.12-2.tmp")]
    public void Takes_over_what_a_start_left_that_was_stopped_before_the_record(params string[] files)
    {
        Directory.CreateDirectory(_folder.At("run"));
        foreach (var file in files) File.WriteAllText(_folder.At("run", file), "");
        var run = RunFolder.Create(_folder.At("run"));
        using (RunLock.Acquire(run)) run.WriteRecord(SampleRun.Record());
        Assert.Equal(["lock", "run.json"], Directory.GetFiles(run.Path).Select(Path.GetFileName).Order());
    }

    [Theory]
    [InlineData("notes.txt")]
    [InlineData("metrics.jsonl")]
    [InlineData("notes.txt.12-1.tmp")]
    [InlineData("run.json.tmp")]
    public void Never_takes_over_a_folder_with_anything_else(string file)
    {
        Directory.CreateDirectory(_folder.At("run"));
        File.WriteAllText(_folder.At("run", "lock"), "");
        File.WriteAllText(_folder.At("run", file), "kept");
        Assert.Throws<KoalaException>(() => RunFolder.Create(_folder.At("run")));
        Assert.Equal("kept", File.ReadAllText(_folder.At("run", file)));
    }

    [Fact]
    public void Names_a_new_run_by_time_and_name_and_never_reuses_a_name()
    {
        var time = new FixedTime("2026-11-23T12:15:04+02:00");
        var first = RunFolder.CreateUnder(_folder.At("runs"), "eagle-k2", time);
        var second = RunFolder.CreateUnder(_folder.At("runs"), "eagle-k2", time);
        Assert.Equal(_folder.At("runs", "2026-11-23T10-15-04-eagle-k2"), first.Path);
        Assert.Equal(_folder.At("runs", "2026-11-23T10-15-04-eagle-k2-2"), second.Path);
    }

    [Theory]
    [InlineData]
    [InlineData("lock")]
    [InlineData("lock", "lock.json", "lock.json.12-1.tmp", "run.json.12-2.tmp")]
    public void A_new_run_removes_what_a_start_left_that_was_killed(params string[] files)
    {
        var left = RunFolder.CreateUnder(_folder.At("runs"), "eagle-k2", new FixedTime("2026-11-23T10:15:04Z"));
        foreach (var file in files) File.WriteAllText(Path.Combine(left.Path, file), "");
        var run = RunFolder.CreateUnder(_folder.At("runs"), "eagle-k2", new FixedTime("2026-11-23T10:15:05Z"));
        Assert.Equal([run.Path], Directory.GetDirectories(_folder.At("runs")));
    }

    [Fact]
    public void A_new_run_removes_nothing_else()
    {
        var second = 10;
        RunFolder Started(string name) => RunFolder.CreateUnder(_folder.At("runs"), name, new FixedTime($"2026-11-23T10:15:{second++}Z"));
        var held = Started("held");
        using var runLock = RunLock.Acquire(held);
        var run = Started("run");
        using (RunLock.Acquire(run)) run.WriteRecord(SampleRun.Record());
        File.WriteAllText(Path.Combine(Started("noted").Path, "notes.txt"), "kept");
        Directory.CreateDirectory(_folder.At("runs", "my-run"));
        Directory.CreateDirectory(_folder.At("runs", "2026-11-23"));
        Started("next");
        string[] expected = ["2026-11-23", "2026-11-23T10-15-10-held", "2026-11-23T10-15-11-run", "2026-11-23T10-15-12-noted",
            "2026-11-23T10-15-13-next", "my-run"];
        Assert.Equal(expected, Directory.GetDirectories(_folder.At("runs")).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.Equal(["lock", "lock.json"], Directory.GetFiles(held.Path).Select(Path.GetFileName).Order());
    }

    [Fact]
    public void A_start_whose_folder_was_taken_for_abandoned_creates_it_again()
    {
        var first = RunFolder.CreateUnder(_folder.At("runs"), "first", new FixedTime("2026-11-23T10:15:04Z"));
        var second = RunFolder.CreateUnder(_folder.At("runs"), "second", new FixedTime("2026-11-23T10:15:05Z"));
        Assert.False(Directory.Exists(first.Path));
        using (RunLock.Acquire(first)) first.WriteRecord(SampleRun.Record());
        Assert.True(RunFolder.IsRun(first.Path));
        Assert.True(Directory.Exists(second.Path));
    }

    [Theory]
    [InlineData("")]
    [InlineData("../other")]
    [InlineData("a b")]
    public void Refuses_a_name_that_is_no_plain_word(string name) =>
        Assert.Throws<KoalaException>(() => RunFolder.CreateUnder(_folder.Path, name));

    [Fact]
    public void Opens_a_run_and_nothing_else()
    {
        SampleRun.Create(_folder.At("run"));
        Assert.Equal(_folder.At("run"), RunFolder.Open(_folder.At("run")).Path);
        Assert.Throws<KoalaException>(() => RunFolder.Open(_folder.Path));
        Assert.Throws<KoalaException>(() => RunFolder.Open(_folder.At("none")));
    }

    [Fact]
    public void A_run_without_a_process_died_unless_its_record_says_how_it_ended()
    {
        var folder = SampleRun.Create(_folder.At("run"));
        using (RunLock.Acquire(folder)) Assert.Equal(RunState.Running, folder.ReadRecord().State);
        Assert.Equal(RunState.Died, folder.ReadRecord().State);
        folder.WriteRecord(folder.ReadRecord().End(RunState.Interrupted));
        Assert.Equal(RunState.Interrupted, folder.ReadRecord().State);
    }
}
