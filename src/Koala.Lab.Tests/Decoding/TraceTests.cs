using System.Text.Json;
using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Trace;
using Koala.Lab.Runtime.Files;
using MathNet.Numerics.Statistics;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Decoding;

/// <summary>What the trace records of each round.</summary>
public sealed class TraceTests
{
    private static readonly int[] s_prompt = Golden.Prompts("koala-nano")[0].Ids;

    [Theory, InlineData(0.0), InlineData(1.0)]
    public void Times_are_positive_and_add_up_to_the_answer(double temperature)
    {
        using var head = PlainDecoding.RecordedHead();
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        var answer = decoder.Generate(s_prompt, new GenerationOptions { MaxTokens = 40, Temperature = temperature });
        Assert.All(answer.Rounds, r =>
        {
            Assert.True(r.DraftMs > 0);
            Assert.True(r.VerifyMs > 0);
            Assert.True(r.BookkeepingMs >= 0);
        });
        var rounds = answer.Rounds.Sum(r => r.DraftMs + r.VerifyMs + r.BookkeepingMs) / 1000;
        Assert.True(answer.PrefillSeconds > 0);
        // Rounds take nearly all of the time after prefill. What lies between them is small, but a busy machine may
        // pause there.
        Assert.InRange(rounds, 0.5 * (answer.Seconds - answer.PrefillSeconds), answer.Seconds - answer.PrefillSeconds);
        Assert.Equal((answer.Seconds - answer.PrefillSeconds) / (answer.Tokens.Count - 1), answer.SecondsPerToken, 12);
    }

    [Fact]
    public void Without_a_head_drafting_takes_no_time()
    {
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano);
        var rounds = decoder.Generate(s_prompt, new GenerationOptions { MaxTokens = 20 }).Rounds;
        // The median: one round may meet a garbage collection or another process on its core.
        Assert.True(rounds.Select(r => r.DraftMs).Median() < 0.1 * rounds.Select(r => r.VerifyMs).Median());
    }

    [Fact]
    public void A_full_greedy_trace_has_the_targets_probabilities_and_its_best_tokens()
    {
        var head = ScriptedHead.CreateCorrect(ShippedModels.Nano, s_prompt.Length, 4,
            PlainDecoding.Greedy(ShippedModels.Nano, s_prompt, 60), done => done % 4);
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        var options = new GenerationOptions { MaxTokens = 40, FullTrace = true };
        var answer = decoder.Generate(s_prompt, options);
        Assert.Contains(answer.Rounds, r => r.Accepted > 0);
        AssertFull(answer);

        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var done = 1;
        var config = ShippedModels.Nano.Config;
        // The final norm, the LM head and the softmax follow the layers.
        var seen = s_prompt.Length + answer.Tokens.Count;
        var roundings = Tolerance.Roundings(config, config.Layers, seen, 2L * config.HiddenSize + config.VocabularySize);
        foreach (var round in answer.Rounds)
        {
            // The rows that verified the candidates: the answer so far, then the accepted candidates.
            using var cache = ShippedModels.Nano.NewCache(1);
            var hidden = ShippedModels.Nano.Append(cache,
                [.. s_prompt, .. answer.Tokens.Take(done), .. round.Candidates!.Select(c => c.Token)]);
            var logits = ShippedModels.Nano.Logits(hidden.narrow(0, s_prompt.Length + done - 1, round.Drafted + 1));
            var rows = logits.softmax(-1);
            // p changes by p·(1 - p), a quarter at most, of the change of its logit.
            var magnitude = logits.abs().max().item<float>() / 4;
            var best = rows.argmax(-1).data<long>().ToArray();
            for (var i = 0; i < round.Drafted; i++)
            {
                Tolerance.AssertClose(rows[i][round.Candidates![i].Token].item<float>(), round.Candidates[i].P,
                    roundings, magnitude);
                if (i < round.Accepted) Assert.Equal(best[i], round.Candidates[i].Token);
            }
            Assert.Equal(best[round.Accepted], round.Bonus!.Token);
            Tolerance.AssertClose(rows[round.Accepted][round.Bonus.Token].item<float>(), round.Bonus.P, roundings, magnitude);
            done += round.Committed;
        }
    }

    [Fact]
    public void A_full_sampled_trace_is_consistent()
    {
        using var head = PlainDecoding.RandomHead(ShippedModels.Nano, 1);
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        var options = new GenerationOptions { MaxTokens = 60, Temperature = 0.8, TopP = 0.95, FullTrace = true };
        var answer = decoder.Generate(s_prompt, options);
        AssertFull(answer);
        Assert.All(answer.Rounds, r => Assert.True(r.Bonus!.P > 0));
        Assert.All(answer.Rounds.SelectMany(r => r.Candidates!), c => Assert.True(c.Q > 0));
        Assert.All(answer.Rounds.SelectMany(r => r.Candidates!).Where(c => c.Accepted), c => Assert.True(c.P > 0));
        // Tracing changes nothing.
        Assert.Equal(decoder.Generate(s_prompt, options with { FullTrace = false }).Tokens, answer.Tokens);
    }

    [Fact]
    public void Json_has_the_fields_of_a_plain_and_of_a_full_trace()
    {
        using var head = PlainDecoding.RecordedHead();
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        Assert.Equal(["drafted", "accepted", "draftMs", "verifyMs", "bookkeepingMs", "depth"], Names(Round(false)));
        var full = Round(true);
        Assert.Equal(["drafted", "accepted", "draftMs", "verifyMs", "bookkeepingMs", "depth", "bonus", "candidates"],
            Names(full));
        Assert.Equal(["token", "text", "p"], Names(full.GetProperty("bonus")));
        Assert.Equal(["token", "text", "parent", "p", "q", "accepted"], Names(full.GetProperty("candidates")[0]));

        JsonElement Round(bool trace)
        {
            var answer = decoder.Generate(s_prompt, new GenerationOptions { MaxTokens = 6, FullTrace = trace });
            var json = JsonDocument.Parse(JsonSerializer.Serialize(answer, JsonFormat.Line)).RootElement;
            Assert.Equal("length", json.GetProperty("finish").GetString());
            Assert.Equal(["promptTokens", "tokens", "text", "finish", "seconds", "prefillSeconds", "rounds"], Names(json));
            return json.GetProperty("rounds")[0];
        }
        static IEnumerable<string> Names(JsonElement element) => element.EnumerateObject().Select(p => p.Name);
    }

    [Fact]
    public void The_traces_text_is_one_line_and_its_table_has_one_line_per_round()
    {
        var trace = new DecodingTrace([new Round(4, 2, 1, 2, 0.5), new Round(4, 0, 1, 2, 0.5)]);
        Assert.Equal(
            "acceptance length 2.00 over 2 rounds; per round 1.00 ms draft, 2.00 ms verify, 0.50 ms bookkeeping", trace.ToString());
        var text = trace.ToTable();
        Assert.Equal(5, text.Split('\n').Length);
        Assert.EndsWith("acceptance length 2.00 over 2 rounds", text);
    }

    private static void AssertFull(Generation answer)
    {
        var tokens = answer.Tokens.Take(1).ToList();
        foreach (var round in answer.Rounds)
        {
            Assert.Equal(round.Drafted, round.Candidates!.Count);
            Assert.Equal(round.Accepted, round.Candidates.Count(c => c.Accepted));
            Assert.Equal(Enumerable.Range(-1, round.Drafted), round.Candidates.Select(c => c.Parent));
            Assert.All(round.Candidates, c => Assert.Equal(ShippedModels.Nano.Tokenizer.Decode([c.Token]), c.Text));
            Assert.All(round.Candidates, c => Assert.InRange(c.P, 0, 1));
            Assert.All(round.Candidates, c => Assert.InRange(c.Q, 0, 1));
            Assert.InRange(round.Bonus!.P, 0, 1);
            tokens.AddRange(round.Candidates.TakeWhile(c => c.Accepted).Select(c => c.Token));
            tokens.Add(round.Bonus.Token);
        }
        Assert.Equal(tokens.Take(answer.Tokens.Count), answer.Tokens);   // accepted tokens and bonus tokens are the answer
    }
}
