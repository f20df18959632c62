using CsCheck;
using Koala.Lab.Data;
using Koala.Lab.Text.Chat;

namespace Koala.Lab.Tests.Data;

public sealed class PackingTests
{
    private static readonly Gen<TokenizedConversation[]> s_conversations =
        Gen.Select(Gen.Int[1, 99].Array[0, 12], Gen.Bool.Array[12])
        .Select((tokens, mask) => new TokenizedConversation(tokens, mask[..tokens.Length])).Array[0, 30];

    [Fact]
    public void Every_token_is_in_exactly_one_row_with_its_mask() =>
        Gen.Select(s_conversations, Gen.Int[2, 16]).Sample((conversations, length) =>
    {
        var rows = Packing.Pack(conversations, length);
        var packed = rows.SelectMany(row => SegmentsOf(row)).Select(Text).Order().ToArray();
        var given = conversations.Where(c => c.Tokens.Length > 0)
            .Select(c =>
                Text((c.Tokens[..Math.Min(length, c.Tokens.Length)], c.LossMask[..Math.Min(length, c.Tokens.Length)])))
            .Order()
            .ToArray();
        return packed.SequenceEqual(given);
    });

    [Fact]
    public void Rows_have_one_length_and_count_positions_and_segments() =>
        Gen.Select(s_conversations, Gen.Int[2, 16]).Sample((conversations, length) =>
        Packing.Pack(conversations, length).All(row =>
            row.Tokens.Length == length
                && row.Positions.Length == length
                && row.Segments.Length == length
                && row.LossMask.Length == length
            && row.Segments[0] == 0 && row.Positions[0] == 0
            && Enumerable.Range(1, length - 1).All(t => row.Segments[t] == row.Segments[t - 1]
                ? row.Positions[t] == row.Positions[t - 1] + 1
                : row.Segments[t] == row.Segments[t - 1] + 1 && row.Positions[t] == 0)));

    [Fact]
    public void A_conversation_goes_into_the_first_row_with_room()
    {
        var rows = Packing.Pack([Of(1, 5), Of(2, 6), Of(3, 3), Of(4, 2), Of(5, 2)], 8);
        Assert.Equal([[1, 1, 1, 1, 1, 3, 3, 3], [2, 2, 2, 2, 2, 2, 4, 4], [5, 5, 0, 0, 0, 0, 0, 0]],
            rows.Select(r => r.Tokens));
        Assert.Equal([0, 0, 1, 1, 1, 1, 1, 1], rows[2].Segments);
        Assert.Equal([true, true, false, false, false, false, false, false], rows[2].LossMask);
    }

    [Fact]
    public void Sixty_thousand_conversations_take_no_square_of_time()
    {
        var random = new Random(1);
        var conversations = Enumerable.Range(0, 60_000).Select(_ => Of(1, random.Next(30, 60))).ToArray();
        var clock = System.Diagnostics.Stopwatch.StartNew();
        Packing.Pack(conversations, 64);
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(10), $"took {clock.Elapsed}");
    }

    [Fact]
    public void Rejects_a_row_without_room_to_learn() => Assert.Throws<KoalaException>(() => Packing.Pack([], 1));

    private static TokenizedConversation Of(int token, int count) =>
        new([.. Enumerable.Repeat(token, count)], [.. Enumerable.Repeat(true, count)]);

    // Padding is token 0, which no conversation here has.
    private static IEnumerable<(int[], bool[])> SegmentsOf(PackedRow row) =>
        row.Segments.Select((s, t) => (s, t)).GroupBy(x => x.s, x => x.t)
        .Select(g => (g.Select(t => row.Tokens[t]).ToArray(), g.Select(t => row.LossMask[t]).ToArray()))
        .Where(s => s.Item1[0] != 0);

    private static string Text((int[] Tokens, bool[] Mask) segment) =>
        $"{string.Join(' ', segment.Tokens)} {string.Join(' ', segment.Mask)}";
}
