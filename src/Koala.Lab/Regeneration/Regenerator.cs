using Koala.Lab.Data;
using Koala.Lab.Decoding;
using Koala.Lab.Targets;

namespace Koala.Lab.Regeneration;

/// <summary>
/// Lets the target answer a file of prompts or chats. The result is training data, since a head should learn from the
/// target's own answers.
/// </summary>
/// <remarks>
/// All first turns are answered first, then all second turns, and so on. Answers are stored beside the output as they
/// end, so that a run that was interrupted or killed can continue from there. The output itself is complete or absent.
/// </remarks>
public static class Regenerator
{
    // The random stream of a turn is the number of the chat's line plus this much per turn. So the turns of all chats
    // use different streams.
    private const int TurnStride = 1_000_003;

    /// <summary>Answers the whole file.</summary>
    /// <param name="target">A target with a chat template.</param>
    /// <param name="options">The files and how answers are generated.</param>
    /// <param name="onChat">This receives the line of each chat when the chat ends; null means no calls.</param>
    /// <param name="progress">
    /// This receives a report after every chunk in which answers ended; null means no reports.
    /// </param>
    /// <param name="cancel">The run checks this token between chunks.</param>
    /// <exception cref="KoalaException">
    /// An option or a file is wrong, or the run to resume was begun with other options.
    /// </exception>
    /// <exception cref="OperationCanceledException">
    /// The run was cancelled. Its answers are kept, and it can be resumed.
    /// </exception>
    public static RegenerationReport Run(Target target, RegenerationOptions options, Action<string>? onChat = null,
        IProgress<RegenerationProgress>? progress = null, CancellationToken cancel = default)
    {
        var start = TimeProvider.System.GetTimestamp();
        options.Validate();
        target.Tokenizer.RequireChatTemplate();
        var requests = ChatRequest.Load(options.Prompts, options.Limit);
        RegeneratedChat[] chats = [.. requests.Select((request, i) => new RegeneratedChat(i, request, options.System))];
        using var log = Open(target, options, chats);
        var began = chats.Sum(c => c.Answers.Count);
        var tokens = 0L;
        using var decoder = new BatchDecoder(target, options.Batch ?? BatchDecoder.DefaultBatch(target.Device), options.Generation);
        while (NextWave(target, chats, cancel) is { Count: > 0 } wave)
        {
            decoder.Run([.. wave.Select(w => w.Prompt)], ended =>
            {
                RegeneratedAnswer[] answers = [.. ended.Select(answer => ToRegenerated(target, wave[answer.Prompt].Chat, answer))];
                log.Append(answers);
                foreach (var answer in answers)
                {
                    chats[answer.Row].Add(answer);
                    tokens += answer.Tokens;
                    if (chats[answer.Row].Ended) onChat?.Invoke(chats[answer.Row].Line);
                }
                progress?.Report(new RegenerationProgress(chats.Sum(c => c.Answers.Count), chats.Sum(c => c.Total), tokens, began));
            }, cancel);
        }

        RegeneratedChat[] answered = [.. chats.Where(c => !c.Skipped)];
        if (answered.Length == 0)
        {
            log.Remove();
            throw new KoalaException(options.Prompts,
                $"leaves nothing to answer: no prompt leaves room in the context of {target.Config.ContextLength} tokens",
                "give shorter prompts");
        }
        JsonLinesWriter.Write(options.Out, answered.Select(c => c.Line));
        log.Remove();
        var seconds = TimeProvider.System.GetElapsedTime(start).TotalSeconds;
        return new RegenerationReport(
            Chats: answered.Length,
            Answers: answered.Sum(c => c.Answers.Count),
            Tokens: answered.Sum(c => c.Answers.Sum(a => (long)a.Tokens)),
            Cut: answered.Count(c => c.Cut),
            Shortened: answered.Count(c => c.Shortened),
            Skipped: chats.Length - answered.Length,
            Seconds: seconds,
            TokensPerSecond: tokens / seconds);
    }

    private static AnswerLog Open(Target target, RegenerationOptions options, RegeneratedChat[] chats)
    {
        var record = RegenerationRecord.Create(target, options);
        if (!options.Resume) return AnswerLog.Create(options.Part, record);
        var log = AnswerLog.Resume(options.Part, record, out var answers);
        foreach (var answer in answers)
        {
            if (answer.Row < chats.Length && answer.Turn == chats[answer.Row].Answers.Count && !chats[answer.Row].Ended)
            {
                chats[answer.Row].Add(answer);
                continue;
            }
            log.Dispose();
            throw new KoalaException(options.Part,
                $"answers turn {answer.Turn} of line {answer.Row + 1}, which was not the next turn at that time",
                "remove it and start again");
        }
        return log;
    }

    // The chats whose next turn has the lowest number of all turns without an answer, with their prompts.
    private static List<(RegeneratedChat Chat, BatchPrompt Prompt)> NextWave(
        Target target, RegeneratedChat[] chats, CancellationToken cancel)
    {
        while (chats.Where(c => !c.Ended).ToArray() is { Length: > 0 } open)
        {
            var turn = open.Min(c => c.Answers.Count);
            var wave = new List<(RegeneratedChat, BatchPrompt)>();
            foreach (var (chat, prompt) in Tokenize(target, [.. open.Where(c => c.Answers.Count == turn)], cancel))
            {
                if (prompt.Count >= target.Config.ContextLength) chat.EndBeforeNext();
                else wave.Add((chat, new BatchPrompt(prompt, unchecked(chat.Number + turn * TurnStride))));
            }
            if (wave.Count > 0) return wave;
        }
        return [];
    }

    private static (RegeneratedChat Chat, IReadOnlyList<int> Prompt)[] Tokenize(
        Target target, RegeneratedChat[] chats, CancellationToken cancel)
    {
        try
        {
            var parallel = chats.AsParallel().AsOrdered().WithCancellation(cancel);
            return [.. parallel.Select(chat => (chat, Encode(target, chat)))];
        }
        catch (AggregateException e) when (e.InnerExceptions.OfType<KoalaException>().FirstOrDefault() is { } fault)
        {
            throw fault;
        }
    }

    private static IReadOnlyList<int> Encode(Target target, RegeneratedChat chat)
    {
        try
        {
            return target.Tokenizer.EncodeChat(chat.Prompt);
        }
        catch (KoalaException e)
        {
            throw e.Within($"{chat}", e);
        }
    }

    private static RegeneratedAnswer ToRegenerated(Target target, RegeneratedChat chat, BatchAnswer answer) => new(
        Row: chat.Number,
        Turn: chat.Answers.Count,
        Tokens: answer.Tokens.Count,
        Done: answer.FinishReason == FinishReason.Stop,
        Content: target.Tokenizer.Decode([.. answer.Tokens.Where(token => !target.EndIds.Contains(token))], skipSpecialTokens: true));
}
