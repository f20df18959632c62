using Koala.Lab.Data;
using Koala.Lab.Decoding;
using Koala.Lab.Targets;

namespace Koala.Lab.Regeneration;

/// <summary>The target answers a file of prompts or chats anew: what a head should learn from are the target's own answers.</summary>
/// <remarks>
/// First turns are answered first, then all second ones, and so on. Answers are kept beside the output as they end, so that a run that was
/// interrupted or killed goes on from there; the output itself is complete or absent.
/// </remarks>
public static class Regenerator
{
    // Turns of one chat draw from streams far apart: lines are counted from 0.
    private const int TurnStride = 1_000_003;

    /// <summary>Answers all of the file.</summary>
    /// <param name="target">With a chat template.</param>
    /// <param name="options">What is asked for.</param>
    /// <param name="onChat">Told each chat's line as it ends; null: nobody.</param>
    /// <param name="progress">Told after every chunk in which answers ended.</param>
    /// <param name="cancel">Looked at between chunks.</param>
    /// <exception cref="KoalaException">An option or a file is wrong, or what is to be resumed was begun otherwise.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; what was answered is kept, and resuming goes on.</exception>
    public static RegenerationReport Run(Target target, RegenerationOptions options, Action<string>? onChat = null,
        IProgress<RegenerationProgress>? progress = null, CancellationToken cancel = default)
    {
        var start = TimeProvider.System.GetTimestamp();
        options.Validate();
        target.Tokenizer.RequireChatTemplate();
        RegeneratedChat[] chats = [.. ChatRequest.Load(options.Prompts, options.Limit).Select((request, i) => new RegeneratedChat(i, request, options.System))];
        using var log = Open(target, options, chats);
        var (began, tokens) = (chats.Sum(c => c.Answers.Count), 0L);
        using var decoder = new BatchDecoder(target, options.Batch ?? BatchDecoder.DefaultBatch(target.Device), options.Generation);
        while (NextWave(target, chats, cancel) is { Count: > 0 } wave)
        {
            decoder.Run([.. wave.Select(w => w.Prompt)], ended =>
            {
                RegeneratedAnswer[] answers = [.. ended.Select(answer => ToKeep(target, wave[answer.Prompt].Chat, answer))];
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
            throw new KoalaException(options.Prompts, $"leaves nothing to answer: no prompt leaves room in the context of {target.Config.ContextLength} tokens", "give shorter prompts");
        }
        JsonLinesWriter.Write(options.Out, answered.Select(c => c.Line));
        log.Remove();
        var seconds = TimeProvider.System.GetElapsedTime(start).TotalSeconds;
        return new RegenerationReport(answered.Length, answered.Sum(c => c.Answers.Count), answered.Sum(c => c.Answers.Sum(a => (long)a.Tokens)),
            answered.Count(c => c.Cut), answered.Count(c => c.Shortened), chats.Length - answered.Length, seconds, tokens / seconds);
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
            throw new KoalaException(options.Part, $"answers turn {answer.Turn} of line {answer.Row + 1}, which was not asked then", "remove it and begin anew");
        }
        return log;
    }

    // The chats whose next turn is the earliest that is still to be answered, ready for the target.
    private static List<(RegeneratedChat Chat, BatchPrompt Prompt)> NextWave(Target target, RegeneratedChat[] chats, CancellationToken cancel)
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

    private static (RegeneratedChat Chat, IReadOnlyList<int> Prompt)[] Tokenize(Target target, RegeneratedChat[] chats, CancellationToken cancel)
    {
        try
        {
            return [.. chats.AsParallel().AsOrdered().WithCancellation(cancel).Select(chat => (chat, Encode(target, chat)))];
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

    private static RegeneratedAnswer ToKeep(Target target, RegeneratedChat chat, BatchAnswer answer) => new(
        chat.Number, chat.Answers.Count, answer.Tokens.Count, answer.FinishReason == FinishReason.Stop, target.Tokenizer.Decode(answer.Tokens, skipSpecialTokens: true));
}
