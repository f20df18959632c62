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
