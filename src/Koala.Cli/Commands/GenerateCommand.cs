using System.CommandLine;
using Koala.Cli.Options;
using Koala.Cli.Output;
using Koala.Lab;
using Koala.Lab.Data;
using Koala.Lab.Decoding;
using Koala.Lab.Drafting;
using Koala.Lab.Evaluation;
using Koala.Lab.Evaluation.Cost;
using Koala.Lab.Targets;

namespace Koala.Cli.Commands;

/// <summary><c>koala generate</c>: answers one prompt or a file of them, alone or with a draft head.</summary>
internal sealed class GenerateCommand
{
    private static readonly TimeSpan s_choosing = TimeSpan.FromSeconds(0.4);

    private readonly Streams _streams;
    private readonly ModelOptions _model = new("fp32 on a CPU, bf16 on a GPU");
    private readonly SamplingOptions _sampling = new(() => new GenerationOptions());
    private readonly TreeOptions _tree = new();
    private readonly PromptOptions _prompts = new();
    private readonly DraftOptions _draft = new(" Default: the target alone.");
    private readonly Option<string?> _prompt = SharedOptions.Text("--prompt", "TEXT", "What to answer; - reads standard input.");
    private readonly Option<bool> _raw = SharedOptions.Flag("--raw", "Take prompts as they are, without the chat template.");
    private readonly Option<string?> _system = SharedOptions.Text("--system", "TEXT", "A system message before the prompt.");
    private readonly Option<string[]> _stop = new("--stop") { HelpName = "TEXT", Description = "A text that ends the answer and is cut off; may be given again.", AllowMultipleArgumentsPerToken = false };
    private readonly Option<string> _trace = SharedOptions.ChoiceOrNone("--trace", "Show the rounds; full: with candidates and probabilities in JSON, which costs time. Default: rounds in JSON where there is a head.", "rounds", "full");
    private readonly Option<bool> _json = SharedOptions.Json();
    private readonly Option<bool> _quiet = SharedOptions.Quiet();

    private GenerateCommand(Streams streams) => _streams = streams;

    public static Command Create(Streams streams)
    {
        var self = new GenerateCommand(streams);
        var command = new Command("generate", "Answer prompts with a target, alone or with a draft head.");
        self._model.Target.Required = true;
        self._model.AddTo(command);
        self._draft.AddTo(command);
        foreach (Option option in (Option[])[self._prompt, self._raw, self._system]) command.Options.Add(option);
        self._prompts.AddTo(command);
        self._sampling.AddTo(command);
        self._tree.AddTo(command);
        foreach (Option option in (Option[])[self._stop, self._trace, self._json, self._quiet]) command.Options.Add(option);
        command.SetAction(self.Run);
        return command;
    }

    private int Run(ParseResult result)
    {
        Check(result);
        var options = _tree.Read(result, _sampling.Read(result)) with { Stop = result.GetValue(_stop) ?? [], FullTrace = result.GetValue(_trace) == "full" };
        options.Validate();
        var place = _draft.Find(result);
        var file = result.GetValue(_prompts.File);
        var prompts = file is null ? [OnePrompt(result)] : _prompts.Read(result, file);

        using var interruption = new Interruption(_streams);
        using var target = _model.Load(result);
        var source = place?.Load(target);
        using var owned = source as IDisposable;
        if (source is not null && options is { DraftLength: null, Tree: null }) options = ChooseDraftLength(result, target, source, prompts, options, interruption.Token);
        using var decoder = new SpeculativeDecoder(target, source);
        var (skipped, answers) = (0, 0);
        for (var i = 0; i < prompts.Count; i++)
        {
            var prompt = result.GetValue(_raw) ? prompts[i] with { Raw = true } : prompts[i];
            if (!Answer(result, decoder, target, source, prompt, options, ref answers, file is not null, interruption.Token)) skipped++;
        }
        if (skipped > 0) _streams.Error.WriteLine($"{skipped} of {prompts.Count} prompts skipped: they leave no room in the context of {target.Config.ContextLength} tokens");
        return ExitCodes.Done;
    }

    // False: a turn does not fit the context, and neither would those after it.
    private bool Answer(ParseResult result, SpeculativeDecoder decoder, Target target, IDraftSource? source, Prompt prompt, GenerationOptions options, ref int answers, bool ofFile, CancellationToken cancel)
    {
        var json = result.GetValue(_json);
        var allTurns = _prompts.AllTurns(result);
        var dialogue = new Dialogue(target, prompt, allTurns, result.GetValue(_system));
        for (var turn = 1; dialogue.Next() is { } tokens; turn++)
        {
            if (ofFile && tokens.Count >= target.Config.ContextLength) return false;
            if (ofFile && !json) _streams.Output.WriteLine(allTurns ? $"[{prompt.Id}, turn {turn}]" : $"[{prompt.Id}]");
            var generation = decoder.Generate(tokens, options with { Stream = answers++ }, json ? null : chunk =>
            {
                _streams.Output.Write(chunk.Text);
                _streams.Output.Flush();
            }, cancel);
            dialogue.Answer(generation.Text);

            var traced = result.GetValue(_trace) is not null;
            if (json)
            {
                _streams.Output.WriteLine(JsonOutput.Line(new AnswerLine(ofFile ? prompt.Id : null, ofFile && allTurns ? turn : null, generation.PromptTokens,
                    generation.Tokens, generation.Text, generation.FinishReason, generation.Seconds, traced || source is not null ? generation.Rounds : null)));
                continue;
            }
            _streams.Output.WriteLine();
            if (traced) _streams.Error.WriteLine(decoder.Trace);
        }
        return true;
    }

    // By the first prompt that fits.
    private GenerationOptions ChooseDraftLength(ParseResult result, Target target, IDraftSource source, IReadOnlyList<Prompt> prompts, GenerationOptions options, CancellationToken cancel)
    {
        var first = prompts.Select(prompt => new Dialogue(target, result.GetValue(_raw) ? prompt with { Raw = true } : prompt, allTurns: false, result.GetValue(_system)).Next()!)
            .FirstOrDefault(tokens => tokens.Count > 0 && tokens.Count < target.Config.ContextLength);
        if (first is null) return options;
        var (choice, _) = DraftLengthTuner.Measure(target, source, [[first]], options, s_choosing, cancel);
        if (!result.GetValue(_quiet)) _streams.Error.WriteLine(DraftLengthText.Render(choice));
        return options with { DraftLength = choice.Length };
    }

    private Prompt OnePrompt(ParseResult result)
    {
        var text = result.GetValue(_prompt)!;
        return new Prompt("prompt", "", [text == "-" ? _streams.ReadInput() : text], null);
    }

    private void Check(ParseResult result)
    {
        if (result.Has(_prompt) == result.Has(_prompts.File))
            throw new KoalaException("--prompt", result.Has(_prompt) ? "and --prompts are given, but one of them is answered" : "is missing",
                "give --prompt TEXT, --prompt - for standard input, or --prompts FILE");
        if (!result.Has(_prompts.File) && ((Option[])[_prompts.Limit, _prompts.Categories, _prompts.Turns]).FirstOrDefault(result.Has) is { } ofFile)
            throw new KoalaException(ofFile.Name, "chooses from a file of prompts, but there is none", "give --prompts FILE, or leave it out");
        if (result.Has(_raw) && result.Has(_system))
            throw new KoalaException("--system", "goes through the chat template, which --raw leaves out", "leave one of them out");
        if (result.Has(_sampling.DraftLength) && !_draft.IsGiven(result))
            throw new KoalaException("--draft-length", "is given, but nothing drafts", "give --head or --draft-model, or leave it out");
        if (_tree.OfHead(result) is { } option && !_draft.IsGiven(result))
            throw new KoalaException(option.Name, "is given, but nothing drafts", "give --head or --draft-model, or leave it out");
    }
}
