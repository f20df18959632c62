using Koala.Lab.Runs;

namespace Koala.Lab.Tests.Runs;

public sealed class CheckpointStoreTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly CheckpointStore _store;

    public CheckpointStoreTests() => _store = new CheckpointStore(_folder.At("checkpoints"));

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Without_a_save_there_is_no_latest() => Assert.Null(_store.Latest());

    [Fact]
    public void The_last_two_are_kept()
    {
        foreach (var step in (int[])[1, 2, 9, 10]) Save(step);
        Assert.Equal(["step-10", "step-9"], Names());
        Assert.Equal(new Checkpoint(10, _folder.At("checkpoints", "step-10")), _store.Latest());
        Assert.Empty(_store.Skipped);
    }

    [Fact]
    public void A_state_of_the_same_step_replaces_the_one_before()
    {
        Save(1, "first");
        Save(1, "second");
        Assert.Equal(["step-1"], Names());
        Assert.Equal("second", File.ReadAllText(Path.Combine(_store.Latest()!.Folder, "state")));
    }

    public static TheoryData<string, string> Damages => new()
    {
        { "manifest.json", "" },
        { "manifest.json", "null" },
        { "manifest.json", "{\"formatVersion\":1,\"step\":2}" },
        { "manifest.json", "{\"formatVersion\":9,\"step\":2,\"files\":{}}" },
        { "manifest.json", "{\"formatVersion\":1,\"step\":1,\"files\":{}}" },
        { "manifest.json", "{\"formatVersion\":1,\"step\":2,\"files\":{}}" },
        { "manifest.json", "{\"formatVersion\":1,\"step\":2,\"files\":{\"state\":null,\"inner/more\":null}}" },
        { "manifest.json", "{\"formatVersion\":1,\"step\":2,\"files\":{\"state\":{},\"inner/more\":{}}}" },
        { "state", "" },             // truncated
        { "state", "statf" },        // of the same length
        { "state", "state and" },
        { "inner/more", "mor" },
        { "new", "" },               // not a file of the state
    };

    [Theory]
    [MemberData(nameof(Damages))]
    public void A_damaged_state_is_skipped_for_the_previous_one_and_named(string file, string content)
    {
        Save(1);
        Save(2);
        File.WriteAllText(_folder.At("checkpoints", "step-2", file), content);
        Assert.Equal(1, _store.Latest()!.Step);
        Assert.Equal(_folder.At("checkpoints", "step-2"), Assert.Single(_store.Skipped).Folder);
    }

    [Theory]
    [InlineData("manifest.json")]
    [InlineData("state")]
    public void A_state_that_lacks_a_file_is_skipped_for_the_previous_one(string file)
    {
        Save(1);
        Save(2);
        File.Delete(_folder.At("checkpoints", "step-2", file));
        Assert.Equal(1, _store.Latest()!.Step);
        Assert.Contains(file, Assert.Single(_store.Skipped).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_damaged_state_does_not_count_among_the_last_two()
    {
        Save(1);
        Save(2);
        Save(3);
        File.WriteAllText(_folder.At("checkpoints", "step-3", "state"), "short");
        File.Delete(_folder.At("checkpoints", "step-3", "manifest.json"));
        Save(4);
        Assert.Equal(["step-2", "step-4"], Names());
    }

    [Fact]
    public void A_run_resumed_from_the_older_state_gets_past_the_damaged_one()
    {
        Save(1);
        Save(2);
        Save(3);
        File.WriteAllText(_folder.At("checkpoints", "step-3", "state"), "other");
        Assert.Equal(2, _store.Latest()!.Step);
        Save(3);
        Assert.Equal(3, _store.Latest()!.Step);
        Assert.Equal(["step-2", "step-3"], Names());
    }

    [Fact]
    public void Other_folders_are_left_unchanged()
    {
        foreach (var name in (string[])["step-x", "step--1", "step-1.bak", "notes"])
            Directory.CreateDirectory(_folder.At("checkpoints", name));
        Save(1);
        Save(2);
        Save(3);
        Assert.Equal(["notes", "step--1", "step-1.bak", "step-2", "step-3", "step-x"], Names());
    }

    [Fact]
    public void An_exception_of_the_writer_is_passed_on_and_leaves_no_file()
    {
        Save(1);
        Assert.Throws<InvalidOperationException>(() => _store.Save(2, _ => throw new InvalidOperationException()));
        Assert.Equal(["step-1"], Names());
    }

    [Fact]
    public void A_folder_that_cannot_be_created_is_one_error()
    {
        File.WriteAllText(_folder.At("file"), "");
        Assert.Throws<KoalaException>(() => new CheckpointStore(_folder.At("file")).Save(1, _ => { }));
    }

    private void Save(int step, string content = "state") => _store.Save(step, folder =>
    {
        File.WriteAllText(Path.Combine(folder, "state"), content);
        Directory.CreateDirectory(Path.Combine(folder, "inner"));
        File.WriteAllText(Path.Combine(folder, "inner", "more"), "more");
    });

    private IEnumerable<string?> Names() =>
        Directory.EnumerateDirectories(_folder.At("checkpoints"))
            .Select(Path.GetFileName)
            .Order(StringComparer.Ordinal);
}
