using System.Text.Json;
using Koala.Lab.Data;
using Koala.Lab.Training;

namespace Koala.Lab.Tests.Training;

public sealed class TrainingDataTests
{
    private static readonly TrainingData s_seven = Rows(7);

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(7)]
    [InlineData(10)]
    public void Every_epoch_visits_every_row_once(int batch)
    {
        // As many steps as there are rows make complete epochs, however the batches cross the borders of epochs.
        var visits = Enumerable.Range(0, 7).SelectMany(step => Visit(s_seven, step, batch, 4)).ToArray();
        Assert.Equal(7 * batch, visits.Length);
        foreach (var epoch in visits.Chunk(7)) Assert.Equal(Enumerable.Range(0, 7), epoch.Order());
    }

    [Fact]
    public void The_order_differs_between_epochs_and_seeds_and_is_the_same_for_one_seed()
    {
        var data = Rows(40);
        string Epoch(int epoch, int seed) => string.Join(' ', Visit(data, epoch, 40, seed));
        var unshuffled = string.Join(' ', Enumerable.Range(0, 40));
        string[] orders = [Epoch(0, 0), Epoch(1, 0), Epoch(2, 0), Epoch(0, 1), Epoch(1, 1), unshuffled];
        Assert.Equal(6, orders.Distinct().Count());
        Assert.Equal(Epoch(0, 9), string.Join(' ', Visit(Rows(40), 0, 40, 9)));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(int.MinValue)]
    [InlineData(int.MaxValue)]
    public void A_batch_does_not_depend_on_earlier_batches(int seed)
    {
        var forward = Enumerable.Range(0, 12).Select(step => string.Join(' ', Visit(s_seven, step, 3, seed))).ToArray();
        var backward = Enumerable.Range(0, 12).Reverse().Select(step =>
        {
            Visit(s_seven, step + 5, 3, seed ^ 1);
            return string.Join(' ', Visit(Rows(7), step, 3, seed));
        }).Reverse().ToArray();
        Assert.Equal(forward, backward);
        Assert.Equal(forward[11], string.Join(' ', Visit(s_seven, 11, 3, seed)));
    }

    [Fact]
    public void Every_fiftieth_row_is_held_out_where_nothing_else_is()
    {
        using var folder = new TemporaryFolder();
        var file = Write(folder.At("chats.jsonl"), 200);
        var data = TrainingData.Load(ShippedModels.Nano, file, null, TinyModels.Options with { Batch = 1, RowLength = 16 });
        Assert.Equal((data.Rows.Count + data.Validation.Count) / 50, data.Validation.Count);
        Assert.Empty(data.Rows.Intersect(data.Validation));
    }

    [Fact]
    public void The_file_beside_it_is_held_out_and_counts_in_the_hash()
    {
        using var folder = new TemporaryFolder();
        var file = Write(folder.At("chats-train.jsonl"), 12);
        Write(folder.At("chats-validation.jsonl"), 6);
        var beside = TrainingData.Load(ShippedModels.Nano, file, null, TinyModels.Options with { RowLength = 32 });
        var named = TrainingData.Load(ShippedModels.Nano, file, folder.At("chats-validation.jsonl"),
            TinyModels.Options with { RowLength = 32 });
        Assert.Equal(named.Hash, beside.Hash);
        Write(folder.At("chats-validation.jsonl"), 7);
        var other = TrainingData.Load(ShippedModels.Nano, file, null, TinyModels.Options with { RowLength = 32 });
        Assert.NotEqual(other.Hash, beside.Hash);
    }

    [Fact]
    public void Rows_longer_than_the_context_and_too_little_data_are_refused()
    {
        using var folder = new TemporaryFolder();
        var file = Write(folder.At("chats.jsonl"), 1);
        var e = Assert.Throws<KoalaException>(() =>
            TrainingData.Load(ShippedModels.Nano, file, null, TinyModels.Options with { RowLength = 513 }));
        Assert.Equal("rowLength", e.Where);
        Assert.Contains("513", e.Fault, StringComparison.Ordinal);
        Assert.Contains("512", e.Fault, StringComparison.Ordinal);

        Assert.Equal(file,
            Assert.Throws<KoalaException>(() =>
                TrainingData.Load(ShippedModels.Nano, file, file, TinyModels.Options with { RowLength = 512 })).Where);
        Assert.Equal(file,
            Assert.Throws<KoalaException>(() =>
                TrainingData.Load(ShippedModels.Nano, file, null, TinyModels.Options with { Batch = 1 })).Where);
        Assert.Contains("absent.jsonl",
            Assert.Throws<KoalaException>(() =>
                TrainingData.Load(ShippedModels.Nano, folder.At("absent.jsonl"), null, TinyModels.Options)).Where,
            StringComparison.Ordinal);
    }

    internal static string Write(string file, int conversations)
    {
        File.WriteAllLines(file, Enumerable.Range(0, conversations).Select(i => JsonSerializer.Serialize(new
        {
            id = $"c-{i}",
            messages = new[]
            {
                new { role = "user", content = $"Count from {i} on." },
                new { role = "assistant", content = string.Join(", ", Enumerable.Range(i, 12)) + "." },
            },
        })));
        return file;
    }

    private static TrainingData Rows(int count) =>
        new([.. Enumerable.Range(0, count).Select(i => new PackedRow([i, 0], [0, 1], [0, 0], [false, true]))], [], "rows");

    private static int[] Visit(TrainingData data, int step, int batch, int seed) =>
        [.. data.Batch(step, batch, seed).Select(row => row.Tokens[0])];
}
