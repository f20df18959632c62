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
    public void Every_fiftieth_row_of_a_large_file_is_held_out_where_nothing_else_is()
    {
        using var folder = new TemporaryFolder();
        var file = Write(folder.At("chats.jsonl"), 600);
        var data = TrainingData.Load(ShippedModels.Nano, file, null, TinyModels.Options with { Batch = 1, RowLength = 64 });
        Assert.True(data.Rows.Count > 500);
        Assert.Equal((data.Rows.Count + data.Validation.Count) / 50, data.Validation.Count);
        Assert.Empty(data.Rows.Intersect(data.Validation));
    }

    [Theory]
    [InlineData(2, 1)]
    [InlineData(3, 1)]
    [InlineData(9, 1)]
    [InlineData(30, 3)]
    [InlineData(100, 10)]
    public void A_tenth_of_a_small_file_is_held_out_and_never_all_or_nothing(int chats, int heldOut)
    {
        using var folder = new TemporaryFolder();
        var file = Write(folder.At("chats.jsonl"), chats);
        foreach (var length in (int?[])[null, 64, 512])
        {
            var data = TrainingData.Load(ShippedModels.Nano, file, null, TinyModels.Options with { Batch = 1, RowLength = length });
            var (trained, held) = (data.Rows.SelectMany(Prompts).ToHashSet(), data.Validation.SelectMany(Prompts).ToHashSet());
            Assert.Equal((chats - heldOut, heldOut), (trained.Count, held.Count));
            Assert.Empty(trained.Intersect(held));
        }
    }

    [Fact]
    public void Thirty_chats_can_be_trained_on_with_the_defaults()
    {
        using var folder = new TemporaryFolder();
        var data = TrainingData.Load(ShippedModels.Nano, Write(folder.At("chats.jsonl"), 30), null, new TrainingOptions());
        Assert.True(data.Rows.Count >= new TrainingOptions().Batch);
        Assert.DoesNotContain(data.Notes, note => note.ToString().Contains("lose their end", StringComparison.Ordinal));
    }

    [Fact]
    public void The_row_length_that_is_chosen_fits_nine_of_ten_conversations_and_stays_within_the_context()
    {
        Assert.Equal(64, RowLengths.Choose([5]));
        Assert.Equal(192, RowLengths.Choose([.. Enumerable.Repeat(130, 9), 4000]));
        Assert.Equal(4032, RowLengths.Choose([.. Enumerable.Repeat(130, 8), 4000, 4000]));
        Assert.Equal(256, RowLengths.Choose([.. Enumerable.Repeat(30, 10_000)]));

        using var folder = new TemporaryFolder();
        var (text, options) = (string.Concat(Enumerable.Repeat("word ", 900)), new TrainingOptions { Batch = 1 });
        File.WriteAllLines(folder.At("chats.jsonl"), Enumerable.Range(0, 3).Select(i => Line($"Say {i} and {folder.Path}.", text)));
        var data = TrainingData.Load(ShippedModels.Nano, folder.At("chats.jsonl"), null, options);
        Assert.Equal(ShippedModels.Nano.Config.ContextLength, data.RowLength);
        // The second time the length comes from the cache.
        Assert.Equal(data.Hash, TrainingData.Load(ShippedModels.Nano, folder.At("chats.jsonl"), null, options).Hash);
        var request = new TrainingRequest { Data = folder.At("chats.jsonl"), Head = TinyModels.Head, Training = options };
        Assert.Equal(data.RowLength, new TrainingPlan(request, ShippedModels.Nano, data).Training.RowLength);
        Assert.Contains("(rowLength)", Assert.Single(data.Notes, n => n.ToString().Contains("lose their end")).ToString());
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
        Assert.Contains("set batch to 1",
            Assert.Throws<KoalaException>(() =>
                TrainingData.Load(ShippedModels.Nano, file, file, TinyModels.Options with { RowLength = 512 })).Fix,
            StringComparison.Ordinal);
        var one = Assert.Throws<KoalaException>(() =>
            TrainingData.Load(ShippedModels.Nano, file, null, TinyModels.Options with { Batch = 1 }));
        Assert.Equal(file, one.Where);
        Assert.Contains("by validation", one.Fix, StringComparison.Ordinal);
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

    private static string Line(string prompt, string answer) => JsonSerializer.Serialize(new
    {
        messages = new[] { new { role = "user", content = prompt }, new { role = "assistant", content = answer } },
    });

    // The prompts of a row's conversations.
    private static IEnumerable<string> Prompts(PackedRow row) => row.Tokens.Zip(row.LossMask, row.Segments)
        .GroupBy(x => x.Third).Where(segment => segment.Any(x => x.Second))
        .Select(segment => ShippedModels.Nano.Tokenizer.Decode([.. segment.TakeWhile(x => !x.Second).Select(x => x.First)]));

    private static TrainingData Rows(int count) =>
        new([.. Enumerable.Range(0, count).Select(i => new PackedRow([i, 0], [0, 1], [0, 0], [false, true]))], [], "rows");

    private static int[] Visit(TrainingData data, int step, int batch, int seed) =>
        [.. data.Batch(step, batch, seed).Select(row => row.Tokens[0])];
}
